"""Fold the rows of one window into one float64. The reference path of both executors; faster ones must equal it.

A row takes part when it is shown and its value is not `NULL`. NaN means null, in one bit pattern.
"""

import math

import numpy as np

from feature_defs.engine.compiled.exact import deviation, magnitude_of, narrow, product, quotient
from feature_defs.engine.jit import kernel

COUNT, SUM, MEAN, STD, MIN, MAX, LAST, DISTINCT = range(8)
NULL = np.int64(-(2**63))
LOW = np.int64(0xFFFFFFFF)


@kernel
def empty(op):  # type: ignore[no-untyped-def]
    """What an aggregation of no rows gives: 0 for count, sum and distinct, else null."""
    return 0.0 if op in (COUNT, SUM, DISTINCT) else np.nan


@kernel
def fold(op, real, scale, values, shown, low, high):  # type: ignore[no-untyped-def]
    """Aggregate `values[low:high]`. `shown` holds one flag per row, or nothing when every row is shown."""
    if op == COUNT:
        return np.float64(_rows(shown, low, high))
    if op == DISTINCT:
        return np.float64(_distinct(values, shown, low, high))
    if real:
        return _fold_reals(op, values, shown, low, high)
    if op in (SUM, MEAN):
        count, total = _total(values, shown, low, high)
        if op == SUM:
            return quotient(total, scale)
        return quotient(total, count * scale) if count else np.nan
    if op == STD:
        return _spread(scale, values, shown, low, high)
    position = _extreme(op, values, shown, low, high)
    return quotient(values[position], scale) if position >= 0 else np.nan


@kernel
def _rows(shown, low, high):  # type: ignore[no-untyped-def]
    if len(shown) == 0:
        return max(high - low, 0)
    count = 0
    for i in range(low, high):
        count += shown[i]
    return count


@kernel
def _total(values, shown, low, high):  # type: ignore[no-untyped-def]
    """Count and exact sum. The two halves of a value are summed apart, which cannot overflow below 2**31 rows."""
    count, upper, lower = 0, np.int64(0), np.int64(0)
    everything = len(shown) == 0
    for i in range(low, high):
        value = values[i]
        if value != NULL and (everything or shown[i]):
            count += 1
            upper += value >> 32
            lower += value & LOW
    return count, narrow(upper, lower)


@kernel
def _spread(scale, values, shown, low, high):  # type: ignore[no-untyped-def]
    count, total = _total(values, shown, low, high)
    if count < 2:
        return np.nan
    squares_high, squares_low = np.uint64(0), np.uint64(0)
    everything = len(shown) == 0
    for i in range(low, high):
        if values[i] != NULL and (everything or shown[i]):
            size = magnitude_of(values[i])
            add_high, add_low = product(size, size)
            squares_low += add_low
            before = squares_high
            squares_high += add_high + (np.uint64(1) if squares_low < add_low else np.uint64(0))
            if squares_high < before:
                raise OverflowError("a window's sum of squares needs more than 128 bits; declare a smaller `max`")
    return deviation(count, total, squares_high, squares_low, scale)


@kernel
def _extreme(op, values, shown, low, high):  # type: ignore[no-untyped-def]
    """Position of the value asked for, or -1. `last` is by row order, which is `(event_time, event_id)`."""
    everything = len(shown) == 0
    best = -1
    for i in range(low, high):
        if values[i] == NULL or not (everything or shown[i]):
            continue
        if (
            best < 0
            or op == LAST
            or (op == MIN and values[i] < values[best])
            or (op == MAX and values[i] > values[best])
        ):
            best = i
    return best


@kernel
def _distinct(values, shown, low, high):  # type: ignore[no-untyped-def]
    seen = np.empty(max(high - low, 0), np.int64)
    size = 0
    everything = len(shown) == 0
    for i in range(low, high):
        if values[i] != NULL and (everything or shown[i]):
            seen[size] = values[i]
            size += 1
    seen = np.sort(seen[:size])
    different = 0
    for i in range(size):
        different += i == 0 or seen[i] != seen[i - 1]
    return different


@kernel
def _fold_reals(op, values, shown, low, high):  # type: ignore[no-untyped-def]
    """Values without a scale, added one by one in row order: the order is the definition."""
    bits = values[low:high]
    reals = bits.view(np.float64)
    everything = len(shown) == 0
    count, total, best = 0, 0.0, np.nan
    for i in range(len(bits)):
        if bits[i] == NULL or not (everything or shown[low + i]):
            continue
        value = reals[i]
        if count == 0 or op == LAST or (op == MIN and value < best) or (op == MAX and value > best):
            best = value
        count += 1
        total += value
    if op == SUM:
        return total
    if count == 0:
        return np.nan
    if op == MEAN:
        return total / count
    if op != STD:
        return best
    if count < 2:
        return np.nan
    center, squares = total / count, 0.0
    for i in range(len(bits)):
        if bits[i] != NULL and (everything or shown[low + i]):
            squares += (reals[i] - center) * (reals[i] - center)
    return math.sqrt(squares / (count - 1))
