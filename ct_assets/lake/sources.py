"""What a source must look like, and its rows under the lake's names.

Files are opened in `files`, values read in `reading`, rows judged in `contracts`.
"""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import polars as pl

from ct_assets.lake import reading
from ct_assets.lake.contracts import ROW, UNREADABLE, StreamName
from ct_assets.lake.errors import ContractBroken
from feature_defs.columns import Column
from feature_defs.task import Task

MALFORMED = "__malformed"
BATCH_ROWS = 131_072


@dataclass(frozen=True)
class Batch:
    """Consecutive rows of a source, under the source's own names.

    `text`: every value came as text. A column `MALFORMED`, if there is one, holds the raw text of rows that could not
    be split into columns. `offsets` are the positions of the rows in the source, growing; without them they are
    `first`, `first + 1`, and so on. `header` names all columns of the source, read or not.
    """

    frame: pl.DataFrame
    first: int = 0
    text: bool = False
    offsets: pl.Series | None = None
    header: tuple[str, ...] = ()

    @property
    def positions(self) -> pl.Series:
        """The offset of each row."""
        if self.offsets is not None:
            return self.offsets.cast(pl.Int64).alias("offset")
        return pl.int_range(self.first, self.first + len(self.frame), eager=True).alias("offset")

    def raw(self, offsets: pl.Series) -> list[str]:
        """The rows at `offsets` as they came: JSON under the source's names, or the text that could not be split."""
        rows = self.frame.with_columns(offset=self.positions).filter(pl.col("offset").is_in(offsets.implode()))
        visible = [name for name in self.frame.columns if not name.endswith(UNREADABLE)]
        return [_raw(row) for row in rows.select(visible).iter_rows(named=True)]


def batches(frame: pl.DataFrame) -> Iterator[Batch]:
    """A frame in memory as batches of bounded size."""
    for first in range(0, max(len(frame), 1), BATCH_ROWS):
        yield Batch(frame[first : first + BATCH_ROWS], first)


def wanted(task: Task, stream: StreamName, columns: Sequence[str]) -> list[str]:
    """Those of a source's `columns` that a stream is read from."""
    names = {"event_id", "event_time", "available_at", task.events.key, task.events.time}
    names |= {"label", "kind", task.label.column, task.label.time_column} if stream == "labels" else set()
    names |= set(task.events.columns) if stream == "events" else set()
    return [name for name in columns if name in names]


def canonical(task: Task, stream: StreamName, batch: Batch, source: str) -> pl.DataFrame:
    """The rows of `batch` under the lake's names and types, with `offset`, and per column a flag: given but unreadable.

    A history of events with a label column is a source of labels too: its unlabelled rows state nothing and are left
    out; its labels were known at `label.time_column`, or else at the horizon.

    Raises:
        ContractBroken: columns are missing or of a wrong type, or the stream's time zone is unknown.
    """
    found = _Columns(task, batch)
    columns = found.events() if stream == "events" else found.labels()
    if found.problems:
        raise ContractBroken(source, *found.problems)
    typed = batch.frame.select(expression.alias(name) for name, (expression, _) in columns.items())
    given = batch.frame.select(
        pl.any_horizontal(pl.col(origin).is_not_null() for origin in origins).alias(name)
        for name, (_, origins) in columns.items()
        if origins
    )
    flags = [given[name] & typed[name].is_null() for name in given.columns]
    rows = typed.with_columns(
        batch.positions,
        (batch.frame[MALFORMED].is_not_null() if MALFORMED in batch.frame.columns else pl.lit(False)).alias(
            ROW + UNREADABLE
        ),
        *(flag.alias(name + UNREADABLE) for name, flag in zip(given.columns, flags, strict=True)),
        *(pl.lit(False).alias(name + UNREADABLE) for name in columns if name not in given.columns),
    )
    if refused := [name for name in batch.frame.columns if name.endswith(UNREADABLE)]:
        rows = _refuse(rows, batch.frame.select(refused), columns)
    if stream == "labels" and found.history:
        stated = pl.col("label").is_not_null() | pl.col("label" + UNREADABLE) | pl.col(ROW + UNREADABLE)
        rows = rows.filter(stated)
    return rows


class _Columns:
    """Finds the columns of a stream in a source, and collects everything that is wrong with them."""

    def __init__(self, task: Task, batch: Batch) -> None:
        self.task, self.text = task, batch.text
        self.schema = {name: dtype for name, dtype in batch.frame.schema.items() if not name.startswith("__")}
        self.header = batch.header or tuple(self.schema)
        self.problems: list[str] = []
        self.history = task.events.time in self.schema or "event_time" in self.schema

    def events(self) -> "Mapped":
        """Columns of events; an event of history was known when it happened unless `available_at` says otherwise."""
        stream = self.task.events
        time = self._instant(stream.time, "event_time")
        arrival = self._instant("available_at") if "available_at" in self.schema else time
        columns = {"event_id": self._value(stream.key_type, stream.key, "event_id")}
        columns |= {"event_time": time, "available_at": arrival}
        return columns | {name: self._value(column, name) for name, column in stream.columns.items()}

    def labels(self) -> "Mapped":
        """Columns of label statements, by the layout of a history or of statements of their own."""
        stream, label = self.task.events, self.task.label
        key = self._value(stream.key_type, stream.key, "event_id")
        name = self._find(label.column, "label")
        value = self._checked(reading.label(name, self.schema[name], text=self.text), name) if name else _NOTHING
        if self.history and label.time_column not in self.schema:
            known, origins = self._instant(stream.time, "event_time")
            arrival = (known + pl.duration(microseconds=label.horizon_us), origins)
        else:
            arrival = self._instant(label.time_column, *(() if self.history else ("available_at",)))
        kind = (pl.col("kind").cast(pl.String), ("kind",)) if "kind" in self.schema else (pl.lit("truth"), ())
        return {"event_id": key, "label": value, "kind": kind, "available_at": arrival}

    def _value(self, column: Column, *names: str) -> "Origin":
        name = self._find(*names)
        return self._checked(reading.read(name, self.schema[name], column, text=self.text), name) if name else _NOTHING

    def _instant(self, *names: str) -> "Origin":
        name = self._find(*names)
        if name is None:
            return _NOTHING
        zone = self.task.events.time_zone
        try:
            pl.select(pl.lit(0).cast(pl.Datetime("us")).dt.replace_time_zone(zone))
        except pl.exceptions.ComputeError:
            self.problems.append(f'unknown time zone "{zone}" of stream {self.task.events.name}: use an IANA name')
            return _NOTHING
        return self._checked(reading.instant(name, self.schema[name], zone, text=self.text), name)

    def _checked(self, read: pl.Expr | str, name: str) -> "Origin":
        if isinstance(read, str):
            self.problems.append(read)
            return _NOTHING
        return read, (name,)

    def _find(self, *names: str) -> str | None:
        for name in names:
            if name in self.schema:
                return name
        near = get_close_matches(names[0], self.header, n=1)
        hint = f' (is it "{near[0]}"?)' if near else ""
        self.problems.append(f"column {names[0]} is missing{hint}; found {', '.join(self.header) or 'no columns'}")
        return None


Origin = tuple[pl.Expr, tuple[str, ...]]
Mapped = dict[str, Origin]
_NOTHING: Origin = (pl.lit(None), ())


def _refuse(rows: pl.DataFrame, flags: pl.DataFrame, columns: Mapped) -> pl.DataFrame:
    """Adds what the reader of the file itself could not make sense of, under the source's names."""
    for name, (_, origins) in columns.items():
        for origin in origins:
            if origin + UNREADABLE in flags.columns:
                rows = rows.with_columns(pl.col(name + UNREADABLE) | flags[origin + UNREADABLE])
    return rows


def _raw(row: dict[str, object]) -> str:
    text = row.pop(MALFORMED, None)
    if isinstance(text, str):
        return text
    return json.dumps({name: _json(value) for name, value in row.items()}, ensure_ascii=False, default=str)


def _json(value: object) -> object:
    """NaN and infinity have no JSON of their own."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
