"""Exact arithmetic at its limits, against Python's own integers and Fractions."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feature_defs.columns import EXACT_LIMIT
from feature_defs.engine.compiled import exact, fold
from feature_defs.engine.values import NULL, round_decimals, to_units

ALL = np.empty(0, np.uint8)
words = st.integers(-(2**63) + 1, 2**63 - 1) | st.integers(-1000, 1000)


@settings(deadline=None)
@given(words, st.integers(1, 2**62) | st.integers(1, 10**6))
def test_a_quotient_is_rounded_once(numerator, denominator):
    assert exact.quotient(numerator, denominator) == numerator / denominator


@settings(deadline=None)
@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_a_product_has_128_bits(left, right):
    high, low = exact.product(np.uint64(left), np.uint64(right))
    assert (int(high) << 64) + int(low) == left * right
    assert exact.rounded(np.uint64(high), np.uint64(low)) == float(left * right)


@settings(deadline=None)
@given(st.lists(words, max_size=6), st.sampled_from([1, 100, 10**9]))
def test_sum_mean_and_std_are_exact_or_refused(values, scale):
    column = np.array(values, dtype=np.int64)
    total, count = sum(values), len(values)
    if not -(2**63) <= total < 2**63:
        for op in (fold.SUM, fold.MEAN, fold.STD)[: 2 + (count > 1)]:
            with pytest.raises(OverflowError):
                fold.fold(op, 0, scale, column, ALL, 0, count)
        return
    assert fold.fold(fold.SUM, 0, scale, column, ALL, 0, count) == float(Fraction(total, scale))
    mean = fold.fold(fold.MEAN, 0, scale, column, ALL, 0, count)
    assert mean == float(Fraction(total, count * scale)) if count else math.isnan(mean)
    if count > 1:
        squares = sum(value * value for value in values)
        if count * squares < 2**128:
            spread = float(count * squares - total * total) / float(count * (count - 1))
            assert fold.fold(fold.STD, 0, scale, column, ALL, 0, count) == math.sqrt(spread) / scale
        else:
            with pytest.raises(OverflowError):
                fold.fold(fold.STD, 0, scale, column, ALL, 0, count)


@settings(deadline=None)
@given(st.integers(-EXACT_LIMIT, EXACT_LIMIT), st.integers(0, 9))
def test_units_come_back_from_the_nearest_float(units, decimals):
    value = units / 10**decimals
    assert to_units([value], decimals).tolist() == [units]
    assert round_decimals([value], decimals).tolist() == [value]


def test_a_value_with_too_many_units_is_an_error_and_a_missing_one_is_not():
    with pytest.raises(OverflowError, match="fewer decimals"):
        to_units([1.0, float(EXACT_LIMIT)], 2)
    assert to_units([math.nan, 1.25, -0.0], 2).tolist() == [NULL, 125, 0]


def test_rounding_is_half_even_and_zero_has_one_sign():
    assert round_decimals([0.125, 0.375, -0.125], 2).tolist() == [0.12, 0.38, -0.12]
    assert math.copysign(1, round_decimals([-0.001], 2)[0]) == 1
