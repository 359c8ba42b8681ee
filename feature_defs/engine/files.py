"""From files of events and labels to a Parquet file of features, no lake needed.

A file in order of time is taken in slices, each advancing the entity states, so memory does not grow with it.
A row that does not fit is an error here; what comes in for good goes through the lake, which has a quarantine.
"""

import itertools
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
from polars.exceptions import PolarsError

from feature_defs.columns import Column, Decimal
from feature_defs.engine import offline, statements
from feature_defs.engine.offline import Mode
from feature_defs.engine.states import EntityStates, advance
from feature_defs.engine.values import round_decimals
from feature_defs.stream import INSTANT
from feature_defs.task import Task

SLICE_ROWS = 4_000_000
SCANS: dict[str, Callable[[Path], pl.LazyFrame]] = {
    ".parquet": pl.scan_parquet,
    ".csv": lambda path: pl.scan_csv(path, try_parse_dates=True, infer_schema_length=10_000),
    ".ndjson": pl.scan_ndjson,
    ".jsonl": pl.scan_ndjson,
}

Progress = Callable[[int], None]


def write(
    task: Task,
    events: Path,
    out: Path,
    *,
    labels: Path | None = None,
    as_of: datetime | None = None,
    mode: Mode = "as_served",
    threads: int = 1,
    slice_rows: int = SLICE_ROWS,
    progress: Progress = lambda _: None,
) -> int:
    """Compute the features of a file of events; returns the number of rows written.

    Args:
        task: Whose features.
        events: Parquet, CSV or JSON lines: the stream's columns and, if it has one, `available_at`.
        out: The Parquet file: `event_id`, then the features, rows in the order of `events`.
        labels: Label statements (`event_id`, `label`, `available_at`, perhaps `kind`); without it they come from the
            label column of `events` and the task's horizon.
        as_of: Leave out what had not arrived by then.
        mode: Whether arrivals count.
        threads: How many threads share the entities.
        slice_rows: How many rows are in memory at a time, beside the states.
        progress: Called with the number of rows done so far.

    Raises:
        ValueError: a file is missing, empty or unreadable, or a column is missing or holds what it should not.
    """
    table = _events(task, events)
    stated = _statements(task, events, labels)
    if as_of is not None:
        table, stated = (one.filter(pl.col("available_at") <= as_of) for one in (table, stated))
    arrivals = _collected(events, table.select("available_at"))["available_at"]
    if arrivals.is_empty():
        raise ValueError(f"{events.name}: no rows" + (f" that had arrived by {as_of}" if as_of else ""))
    cuts = [0, len(arrivals)]
    if mode == "as_served" and len(arrivals) > slice_rows and arrivals.is_sorted():
        cuts = _cuts(arrivals, slice_rows)
    partial = out.with_name(out.name + ".part")
    state, done = EntityStates.empty(task), 0
    try:
        with _Writer(partial) as writer:
            for first, last in itertools.pairwise(cuts):
                rows = _checked(events, task, _collected(events, table.slice(first, last - first)), first)
                said = _collected(labels or events, stated.filter(_due(arrivals, first, last, len(cuts))))
                if not said["label"].is_in([0, 1]).all():
                    raise ValueError(
                        f"{(labels or events).name}: label {task.label.column} is neither 0 nor 1 somewhere"
                    )
                if len(cuts) == 2:
                    vectors = offline.compute(task, rows, rows, said, mode=mode, threads=threads)
                else:
                    vectors, state = advance(task, state, rows, said, requests=rows, threads=threads)
                writer.write(vectors)
                done += len(vectors)
                progress(done)
        partial.replace(out)
    finally:
        partial.unlink(missing_ok=True)
    return done


class _Writer:
    """A Parquet file, written frame by frame."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: Any = None

    def __enter__(self) -> "_Writer":
        return self

    def write(self, frame: pl.DataFrame) -> None:
        from pyarrow import parquet

        table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
        if self._writer is None:
            self._writer = parquet.ParquetWriter(self._path, table.schema, compression="snappy")
        self._writer.write_table(table)

    def __exit__(self, *error: object) -> None:
        if self._writer is not None:
            self._writer.close()


def _cuts(arrivals: pl.Series, slice_rows: int) -> list[int]:
    """Where to cut rows that are in order of arrival: about every `slice_rows`, never between equal arrivals."""
    cuts = [0]
    while cuts[-1] + slice_rows < len(arrivals):
        edge = int(arrivals.search_sorted(arrivals[cuts[-1] + slice_rows], side="left"))
        if edge <= cuts[-1]:
            edge = int(arrivals.search_sorted(arrivals[cuts[-1]], side="right"))
        cuts.append(edge)
    return [*cuts, len(arrivals)] if cuts[-1] < len(arrivals) else cuts


def _due(arrivals: pl.Series, first: int, last: int, cuts: int) -> pl.Expr:
    """Which statements arrived with the rows `first` to `last`; all of them when nothing is cut."""
    if cuts == 2:
        return pl.lit(value=True)
    due: pl.Expr = pl.col("available_at") <= arrivals[last - 1]
    if first:
        due &= pl.col("available_at") > arrivals[first - 1]
    return due


def _scan(path: Path) -> pl.LazyFrame:
    if path.suffix not in SCANS:
        raise ValueError(f"{path.name}: no reader for {path.suffix!r} files; there is one for {', '.join(SCANS)}")
    if not path.is_file():
        raise ValueError(f"{path.name}: there is no such file in {path.parent}")
    if path.stat().st_size == 0:
        raise ValueError(f"{path.name}: the file is empty")
    return SCANS[path.suffix](path)


def _collected(path: Path, table: pl.LazyFrame) -> pl.DataFrame:
    try:
        return table.collect()
    except (PolarsError, OSError) as error:
        raise ValueError(f"{path.name}: it cannot be read ({str(error).splitlines()[0]})") from error


def _schema(path: Path, table: pl.LazyFrame) -> pl.Schema:
    try:
        return table.collect_schema()
    except (PolarsError, OSError) as error:
        raise ValueError(f"{path.name}: it cannot be read ({str(error).splitlines()[0]})") from error


def _events(task: Task, path: Path) -> pl.LazyFrame:
    """The file in canonical columns."""
    stream, table = task.events, _scan(path)
    schema = _schema(path, table)
    time = _instant(stream.time_zone, path, schema, _named(path, schema, stream.time, "event_time"))
    known = _instant(stream.time_zone, path, schema, "available_at") if "available_at" in schema else time
    return table.select(
        pl.col(_named(path, schema, stream.key, "event_id")).cast(stream.key_type.dtype()).alias("event_id"),
        time.alias("event_time"),
        known.alias("available_at"),
        *(_value(path, schema, name, column) for name, column in stream.columns.items()),
    )


def _statements(task: Task, events: Path, labels: Path | None) -> pl.LazyFrame:
    """Label statements of their own file, or by the task's rule; none when the events carry no label."""
    path = labels or events
    table, stream, label = _scan(path), task.events, task.label
    schema = _schema(path, table)
    if labels is None and label.column not in schema:
        return pl.LazyFrame(schema=statements.schema(task))
    value = _named(path, schema, label.column, "label")
    if label.time_column in schema:
        known = _instant(stream.time_zone, path, schema, label.time_column)
    elif labels is not None and "available_at" in schema:
        known = _instant(stream.time_zone, path, schema, "available_at")
    else:
        time = _instant(stream.time_zone, path, schema, _named(path, schema, stream.time, "event_time"))
        known = time + pl.duration(microseconds=label.horizon_us)
    return table.select(
        pl.col(_named(path, schema, stream.key, "event_id")).cast(stream.key_type.dtype()).alias("event_id"),
        pl.col(value).cast(pl.Int8).alias("label"),
        (pl.col("kind") if "kind" in schema and labels is not None else pl.lit("truth")).alias("kind"),
        known.alias("available_at"),
    ).drop_nulls(["label", "available_at"])


def _named(path: Path, schema: pl.Schema, *names: str) -> str:
    for name in names:
        if name in schema:
            return name
    raise ValueError(f"{path.name}: no column {' or '.join(names)}; there is: {', '.join(schema)}")


def _instant(zone: str, path: Path, schema: pl.Schema, name: str) -> pl.Expr:
    """A column as an instant; times without a zone are read in the stream's."""
    kind, given = schema[name], pl.col(name)
    if kind == pl.String and zone == "UTC":
        utc: pl.Expr = given.str.to_datetime(time_unit="us", time_zone="UTC")
        return utc
    if not isinstance(kind, pl.Datetime):
        raise ValueError(f"{path.name}: {name} is {kind}, not a date with a time such as 2018-04-01T00:00:31Z")
    local = given if kind.time_zone else given.dt.replace_time_zone(zone)
    instant: pl.Expr = local.dt.convert_time_zone("UTC").cast(INSTANT)
    return instant


def _value(path: Path, schema: pl.Schema, name: str, column: Column) -> pl.Expr:
    found = _named(path, schema, name)
    if isinstance(column, Decimal) and not (schema[found].is_numeric() or schema[found] == pl.Null):
        raise ValueError(f"{path.name}: {name} is {schema[found]}, not a number")
    return pl.col(found).cast(column.dtype())


def _checked(path: Path, task: Task, frame: pl.DataFrame, first: int) -> pl.DataFrame:
    """Decimals rounded; a missing value where none may be missing is named with its row."""
    required = ["event_id", "event_time", "available_at"]
    required += [name for name, column in task.events.columns.items() if not column.nullable]
    for name in required:
        if frame[name].null_count():
            row = first + int(frame[name].is_null().arg_max() or 0) + 1
            raise ValueError(f"{path.name} row {row:,}: {name} is null (contract: not null)")
    rounded = {
        name: pl.Series(name, round_decimals(frame[name].fill_null(float("nan")).to_numpy(), column.decimals))
        for name, column in task.events.columns.items()
        if isinstance(column, Decimal)
    }
    return frame.with_columns(*(values.fill_nan(None) for values in rounded.values()))
