"""Label statements from a file of history, by the task's rule. Statements that arrive live are journalled instead."""

import polars as pl

from feature_defs.stream import INSTANT
from feature_defs.task import Task

SCHEMA = {"label": pl.Int8(), "kind": pl.String(), "available_at": INSTANT}


def schema(task: Task) -> dict[str, pl.DataType]:
    """Columns of a frame of label statements, without provenance."""
    return {"event_id": task.events.key_type.dtype(), **SCHEMA}


def from_rule(task: Task, frame: pl.DataFrame) -> pl.DataFrame:
    """One truth per row of `frame` with a label, known at `time_column`, or else at `event_time + horizon`.

    `frame` has the label column beside the event's id and time, by the stream's names or the lake's.

    Raises:
        ValueError: a needed column is missing, or a label is neither 0 nor 1.
    """
    label, events = task.label, task.events
    key = _either(frame, "event_id", events.key)
    time = _either(frame, "event_time", events.time)
    if label.column not in frame.columns:
        raise ValueError(f"label column {label.column!r} is missing; the frame has {frame.columns}")
    horizon = pl.col(time).cast(INSTANT) + pl.duration(microseconds=label.horizon_us)
    known = pl.col(label.time_column).cast(INSTANT) if label.time_column in frame.columns else horizon
    statements = frame.select(
        pl.col(key).cast(events.key_type.dtype()).alias("event_id"),
        pl.col(label.column).cast(pl.Int8).alias("label"),
        pl.lit("truth").alias("kind"),
        known.alias("available_at"),
    ).drop_nulls(["label", "available_at"])
    if not statements["label"].is_in([0, 1]).all():
        raise ValueError(f"label column {label.column!r} holds values other than 0 and 1")
    return statements


def _either(frame: pl.DataFrame, *names: str) -> str:
    for name in names:
        if name in frame.columns:
            return name
    raise ValueError(f"none of the columns {list(names)} is there; the frame has {frame.columns}")
