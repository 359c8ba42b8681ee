"""A column of a stream as a type on the wire: what decodes its values and refuses every other."""

import math
import sys
from typing import Annotated, Any

from msgspec import Meta

from feature_defs.columns import Column, Decimal, Flag, Int32, Int64, Text

TEXT = 120
"""Longest text, in characters: four bytes each stay below the 511 bytes of a store key."""

# The lowest int64 stands for a missing value in the engine.
INTEGERS = {Int32: (-(2**31), 2**31 - 1), Int64: (1 - 2**63, 2**63 - 1)}


def column_type(column: Column) -> Any:
    """The type that decodes a value of `column` and refuses every other."""
    base: Any
    if isinstance(column, Flag):
        base = bool
    elif isinstance(column, Text):
        base = Annotated[str, Meta(max_length=TEXT)]
    elif type(column) in INTEGERS:
        lowest, highest = whole_bounds(column)
        base = Annotated[int, Meta(ge=lowest, le=highest)]
    else:
        low, high = real_bounds(column)
        base = Annotated[float, Meta(ge=low, le=high)]
    return base | None if column.nullable else base


def expected(column: Column) -> str:
    """What a value of `column` looks like, for people."""
    if isinstance(column, Flag):
        text = "true or false"
    elif isinstance(column, Text):
        text = f"a text of at most {TEXT} characters"
    elif type(column) in INTEGERS:
        text = "a whole number from {} to {}".format(*whole_bounds(column))
    else:
        low, high = real_bounds(column)
        text = f"a number from {low:.16g} to {high:.16g}"
        if isinstance(column, Decimal):
            text += f"; more than {column.decimals} decimals are rounded half-even"
    return text + (", or null" if column.nullable else "")


def whole_bounds(column: Column) -> tuple[int, int]:
    """Least and greatest whole number that `column` takes: its own bounds within those of its storage."""
    lowest, highest = INTEGERS[type(column)]
    low = lowest if column.min is None else max(lowest, math.ceil(column.min))
    high = highest if column.max is None else min(highest, math.floor(column.max))
    return low, high


def real_bounds(column: Column) -> tuple[float, float]:
    """Least and greatest number that `column` takes: its own bounds, and those of exact units."""
    limit = column.limit if isinstance(column, Decimal) else sys.float_info.max
    low = -limit if column.min is None else max(-limit, column.min)
    high = limit if column.max is None else min(limit, column.max)
    return low, high
