"""Requests as the store takes them: checked against the stream, rounded once, turned into frames and words."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from feature_defs.columns import EXACT_LIMIT, Column, Decimal, Flag, Real, Text
from feature_defs.engine.records import Event
from feature_defs.engine.values import NULL
from feature_defs.stream import INSTANT, Stream


def normalized(stream: Stream, event: Event) -> Event:
    """`event` with the stream's columns only, in their types, decimals rounded half-even.

    Raises:
        ValueError: the id, a column's type or a missing value does not fit the stream.
        OverflowError: a decimal has more units than can be summed exactly.
    """
    if type(event.event_id) is not (str if isinstance(stream.key_type, Text) else int):
        raise ValueError(f"event {event.event_id!r}: event_id must be {type(stream.key_type).__name__}")
    values: dict[str, Any] = {}
    for name, column in stream.columns.items():
        given = event.values.get(name)
        if given is None:
            if not column.nullable:
                raise ValueError(f"event {event.event_id!r}: {name} is missing (contract: not null)")
            values[name] = None
        else:
            values[name] = _typed(event, name, column, given)
    return Event(event.event_id, event.event_time_us, values)


def _typed(event: Event, name: str, column: Column, given: object) -> Any:
    if isinstance(column, Text) and isinstance(given, str):
        return given
    if isinstance(column, Flag) and isinstance(given, bool):
        return given
    if isinstance(column, Decimal | Real) and isinstance(given, int | float) and not isinstance(given, bool):
        return _number(event, name, column, float(given))
    if not isinstance(column, Text | Flag | Decimal | Real) and isinstance(given, int) and not isinstance(given, bool):
        return given
    kind = type(column).__name__
    raise ValueError(f"event {event.event_id!r}: {name} is {given!r}, which is no {kind}; send one")


def _number(event: Event, name: str, column: Decimal | Real, given: float) -> float | None:
    if given != given:  # NaN is how a float says null
        return None
    if isinstance(column, Real):
        return given + 0.0
    units = given * float(column.scale)
    if abs(units) > EXACT_LIMIT:
        raise OverflowError(
            f"event {event.event_id!r}: {name} is {given!r}; at most {column.limit} can be summed exactly"
        )
    return round(units) / float(column.scale) + 0.0


def frame(stream: Stream, events: Sequence[Event]) -> pl.DataFrame:
    """Events as a canonical frame without arrivals."""
    columns: dict[str, Any] = {
        "event_id": pl.Series([event.event_id for event in events], dtype=stream.key_type.dtype()),
        "event_time": pl.Series([event.event_time_us for event in events], dtype=pl.Int64).cast(INSTANT),
    }
    for name, column in stream.columns.items():
        columns[name] = pl.Series([event.values[name] for event in events], dtype=column.dtype())
    return pl.DataFrame(columns)


def word(column: Column, value: Any) -> int:
    """One value as an int64 word, as `values.words` does a column. Text is numbered by the store."""
    if value is None:
        return int(NULL)
    if isinstance(column, Decimal):
        units: int = round(value * float(column.scale))
        return units
    if isinstance(column, Real):
        return int(np.float64(value).view(np.int64))
    return int(value)
