"""Streams of events, and the labels that say later how an event turned out."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl

from feature_defs import duration
from feature_defs.columns import Column, Decimal, Int64, Text

MOST_DECIMALS = 9
INSTANT = pl.Datetime("us", "UTC")


@dataclass(frozen=True)
class Stream:
    """Events of one kind.

    `key` and `time` are the names that sources and row expressions use; the lake stores them as
    `event_id` and `event_time`. A source's naive times are read in `time_zone`.
    `lateness`: how late an event may come and still be served exactly; the online store keeps rows that much longer
    than the longest window, and refuses a later request. `retention`: how long history is kept; no window may
    reach further.
    """

    name: str
    key: str
    time: str
    columns: Mapping[str, Column] = field(default_factory=dict)
    key_type: Column = Int64()  # noqa: RUF009 frozen
    time_zone: str = "UTC"
    lateness: str = "7d"
    retention: str = "180d"

    def __post_init__(self) -> None:
        reserved = {"event_id", "event_time", "available_at", "event_date", "source", "offset"}
        if clash := (reserved | {self.key, self.time}) & set(self.columns):
            raise ValueError(f"stream {self.name}: column names {sorted(clash)} are taken; rename them in `columns`")
        if not isinstance(self.key_type, Int64 | Text):
            raise ValueError(f"stream {self.name}: key_type must be Int64() or Text(), not {self.key_type!r}")
        for width in (self.lateness, self.retention):
            duration.microseconds(width)
        for name, column in self.columns.items():
            if isinstance(column, Decimal) and not 0 <= column.decimals <= MOST_DECIMALS:
                raise ValueError(
                    f"stream {self.name}: {name} has {column.decimals} decimals; exact sums take 0 to {MOST_DECIMALS}"
                )

    @property
    def lateness_us(self) -> int:
        """The lateness in microseconds."""
        return duration.microseconds(self.lateness)

    @property
    def schema(self) -> dict[str, pl.DataType]:
        """Canonical columns of an event in the lake, without provenance: id, both times, then `columns`."""
        head: dict[str, pl.DataType] = {
            "event_id": self.key_type.dtype(),
            "event_time": INSTANT,
            "available_at": INSTANT,
        }
        return head | {name: column.dtype() for name, column in self.columns.items()}


@dataclass(frozen=True)
class Label:
    """How an event turned out: 0 or 1, known late.

    An event's label is mature at `event_time + horizon`. Files of history may carry the label as
    `column`, and when it became known as `time_column`; without the latter it is known at the horizon.
    """

    name: str
    of: Stream
    column: str
    horizon: str
    time_column: str = "label_time"

    @property
    def horizon_us(self) -> int:
        """The horizon in microseconds."""
        return duration.microseconds(self.horizon)
