"""What the journal of a store holds, as the frames that offline computation reads."""

from typing import Any

import polars as pl

from feature_defs.engine import journal
from feature_defs.task import Task

INSTANT = pl.Datetime("us", "UTC")


def all_of(store: Any, kind: Any) -> list[Any]:
    """Every record of `kind` that was not drained."""
    return journal.read(store, kind, limit=10**9)


def events(task: Task, store: Any) -> pl.DataFrame:
    """Events in the lake's columns."""
    rows = [
        {"event_id": r.event_id, "event_time": r.event_time, "available_at": r.available_at, **r.values}
        for r in all_of(store, "events")
    ]
    return pl.DataFrame(rows).cast(task.events.schema)


def labels(store: Any) -> pl.DataFrame:
    """Statements that had an effect, in the lake's columns."""
    schema = {"event_id": pl.Int64, "label": pl.Int8, "kind": pl.String, "available_at": INSTANT}
    rows = [
        {"event_id": r.event_id, "label": r.label, "kind": r.kind, "available_at": r.available_at}
        for r in all_of(store, "labels")
        if r.accepted
    ]
    return pl.DataFrame(rows, schema=schema | {"available_at": pl.Int64}).cast(schema)


def served(task: Task, store: Any) -> pl.DataFrame:
    """Event and vector of every prediction; NaN means null."""
    rows = [
        {"event_id": r.event_id, **dict(zip(task.feature_names, r.vector, strict=True))}
        for r in all_of(store, "predictions")
    ]
    return pl.DataFrame(rows).with_columns(pl.col(task.feature_names).fill_nan(None))
