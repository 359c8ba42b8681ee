"""Exact arithmetic and the one finaliser: integers become float64 here and nowhere else.

Every result but `std` is the correctly rounded value of the exact one, so it does not depend on order, thread or
partition. Which rows go in is decided by the callers.
"""

import math

import numpy as np

from feature_defs.engine.jit import kernel

TWO_53 = 2**53
LOW = np.uint64(0xFFFFFFFF)
SHIFT = np.uint64(32)
ONE = np.uint64(1)
ZERO = np.uint64(0)
TOP = np.uint64(1 << 63)


@kernel
def quotient(numerator, denominator):  # type: ignore[no-untyped-def]
    """`numerator / denominator` of int64, denominator positive, rounded once to float64."""
    if -TWO_53 <= numerator <= TWO_53 and denominator <= TWO_53:
        return np.float64(numerator) / np.float64(denominator)
    divisor = np.uint64(denominator)
    magnitude = np.uint64(numerator) if numerator >= 0 else np.uint64(-(numerator + 1)) + ONE
    whole = magnitude // divisor
    rest = magnitude - whole * divisor
    shifts = 0
    # Long division until 64 significant bits stand; what is left over only says on which side of a tie we are.
    while whole & TOP == ZERO:
        rest <<= ONE
        whole <<= ONE
        if rest >= divisor:
            rest -= divisor
            whole |= ONE
        shifts += 1
    if rest != ZERO:
        whole |= ONE
    result = math.ldexp(np.float64(whole), -shifts)
    return result if numerator >= 0 else -result


@kernel
def product(left, right):  # type: ignore[no-untyped-def]
    """The 128-bit product of two uint64 as (high, low)."""
    a, b = left >> SHIFT, left & LOW
    c, d = right >> SHIFT, right & LOW
    low = b * d
    middle = a * d + (low >> SHIFT)
    other = b * c + (middle & LOW)
    return a * c + (middle >> SHIFT) + (other >> SHIFT), (other << SHIFT) | (low & LOW)


@kernel
def magnitude_of(value):  # type: ignore[no-untyped-def]
    """`|value|` of an int64 as uint64."""
    return np.uint64(value) if value >= 0 else np.uint64(-(value + 1)) + ONE


@kernel
def narrow(high, low):  # type: ignore[no-untyped-def]
    """The int64 `high * 2**32 + low` from two partial sums; raises OverflowError when it needs more than 64 bits."""
    high += low >> 32
    if high < -(2**31) or high >= 2**31:
        raise OverflowError("a window's sum needs more than 64 bits; declare fewer decimals or a smaller `max`")
    return (high << 32) + (low & 0xFFFFFFFF)


@kernel
def deviation(count, total, squares_high, squares_low, scale):  # type: ignore[no-untyped-def]
    """Sample standard deviation from exact sums: `sqrt((n * S2 - S1**2) / (n * (n - 1))) / scale`."""
    n = np.uint64(count)
    carry, low = product(n, squares_low)
    spill, high = product(n, squares_high)
    high += carry
    if spill != ZERO or high < carry:
        raise OverflowError(
            "a window's sum of squares needs more than 128 bits; declare fewer decimals or a smaller `max`"
        )
    minus_high, minus_low = product(magnitude_of(total), magnitude_of(total))
    high -= minus_high
    if low < minus_low:
        high -= ONE
    low -= minus_low
    return math.sqrt(rounded(high, low) / np.float64(count * (count - 1))) / np.float64(scale)


@kernel
def rounded(high, low):  # type: ignore[no-untyped-def]
    """The 128-bit unsigned `high, low` rounded once to float64."""
    shifts = 64
    if high == ZERO:
        return np.float64(low)
    while high & TOP == ZERO:
        high = (high << ONE) | (low >> np.uint64(63))
        low <<= ONE
        shifts -= 1
    if low != ZERO:
        high |= ONE
    return math.ldexp(np.float64(high), shifts)
