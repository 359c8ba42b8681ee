"""Features: expressions over the row itself, and aggregations over the past rows of an entity."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import polars as pl

from feature_defs import duration
from feature_defs.aggregation import Aggregation
from feature_defs.entity import Entity
from feature_defs.stream import Label, Stream


@dataclass(frozen=True)
class Row:
    """A Polars expression over the request's columns, by the stream's own names."""

    name: str
    expression: pl.Expr

    __hash__ = None  # type: ignore[assignment]  # expressions compare by value only through meta


@dataclass(frozen=True)
class WindowFeature:
    """One column of a `Window`: one aggregation over one width."""

    name: str
    aggregation: Aggregation
    width: str

    @property
    def width_us(self) -> int:
        """The width in microseconds."""
        return duration.microseconds(self.width)


@dataclass(frozen=True)
class Window:
    """Aggregations of the rows of `entity` in `[t - delay - width, t - delay)` that had arrived by then.

    `of` is a stream (its events) or a label (its statements, at their event's time).
    Of these, only rows that pass `where`, an expression over the stream's columns, are counted; such a window has a
    `name` that says so in its columns. Column names write themselves: `customer_amount_mean_7d`,
    `terminal_fraud_count_30d`, `customer_abroad_count_7d`.
    """

    entity: Entity
    of: Stream | Label
    aggregations: Sequence[Aggregation]
    over: Sequence[str]
    delay: str | None = None
    where: pl.Expr | None = None
    name: str | None = None

    __hash__ = None  # type: ignore[assignment]  # expressions compare by value only through meta

    @property
    def delay_us(self) -> int:
        """The delay in microseconds; 0 without one, or when it is `"0s"`."""
        return duration.microseconds(self.delay) if self.delay and self.delay != "0s" else 0

    @property
    def features(self) -> Iterator[WindowFeature]:
        """The columns in definition order: by aggregation, then by width."""
        for aggregation in self.aggregations:
            value = self.of.name if isinstance(self.of, Label) else aggregation.column
            stem = "_".join(part for part in (self.entity.name, self.name, value, aggregation.kind) if part)
            for width in self.over:
                yield WindowFeature(f"{stem}_{width}", aggregation, width)
