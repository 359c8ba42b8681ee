"""Types of the columns of a stream: storage type, bounds, nullability and, for exact sums, a decimal scale.

What a broken bound means for a row (quarantine) is decided where data comes in, not here.
"""

from dataclasses import dataclass
from typing import ClassVar

import polars as pl

# Up to here `rint(float64(units / scale) * scale)` is always `units`: both roundings together stay below one half.
EXACT_LIMIT = 2**51


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of a stream. `min` and `max` are inclusive and in the unit of the data."""

    dtype: ClassVar[type[pl.DataType]]
    nullable: bool = False
    min: float | None = None
    max: float | None = None


@dataclass(frozen=True, kw_only=True)
class Int32(Column):
    """A whole number of 32 bits, typically a key."""

    dtype: ClassVar[type[pl.DataType]] = pl.Int32


@dataclass(frozen=True, kw_only=True)
class Int64(Column):
    """A whole number of 64 bits."""

    dtype: ClassVar[type[pl.DataType]] = pl.Int64


@dataclass(frozen=True, kw_only=True)
class Text(Column):
    """A string, typically a key or a category."""

    dtype: ClassVar[type[pl.DataType]] = pl.String


@dataclass(frozen=True, kw_only=True)
class Flag(Column):
    """True or false."""

    dtype: ClassVar[type[pl.DataType]] = pl.Boolean


@dataclass(frozen=True, kw_only=True)
class Decimal(Column):
    """A number with a fixed count of decimals; rounded once, half-even, where it comes in.

    Kept as the nearest float64, from which the engine recovers the integer number of units exactly.
    """

    dtype: ClassVar[type[pl.DataType]] = pl.Float64
    decimals: int = 2

    @property
    def scale(self) -> int:
        """Units per one: 100 for two decimals."""
        return int(10**self.decimals)

    @property
    def limit(self) -> float:
        """Largest magnitude whose units are exact."""
        return EXACT_LIMIT / self.scale


@dataclass(frozen=True, kw_only=True)
class Money(Decimal):
    """An amount of money in its main unit (euros, not cents)."""


@dataclass(frozen=True, kw_only=True)
class Real(Column):
    """A measured quantity without a scale; its sums are taken in `(event_time, event_id)` order."""

    dtype: ClassVar[type[pl.DataType]] = pl.Float64
