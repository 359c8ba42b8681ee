"""The tables of the lake: names, columns, partitions. How they are written and read is in `lake`.

Tables of other stations (the ledger of models, for one) are `Table` values of their own and go through the same `Lake`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from feature_defs.task import Task

INSTANT = pl.Datetime("us", "UTC")


@dataclass(frozen=True)
class Partition:
    """A `Date` column `name`, filled with the UTC day of the instant in column `of`."""

    name: str
    of: str


@dataclass(frozen=True)
class Table:
    """One table: its columns without the partition column, in order.

    `arrival` is the column that an as-of read compares with its cut-off. `log_days` is how long old versions can be
    opened: long where manifests pin versions, short where every few seconds bring a commit.
    """

    name: str
    columns: Mapping[str, pl.DataType]
    partition: Partition | None = None
    arrival: str | None = None
    log_days: int = 365
    folder: str | None = None

    @property
    def schema(self) -> dict[str, pl.DataType]:
        """All columns as stored, the partition column last."""
        return dict(self.columns) | ({self.partition.name: pl.Date()} if self.partition else {})


_BY_EVENT = Partition("event_date", "event_time")
_PROVENANCE: dict[str, pl.DataType] = {"source": pl.String(), "offset": pl.Int64()}


def of(task: Task) -> dict[str, Table]:
    """The tables of a task by name: events, labels, quarantine, deliveries, labeled_events, features, predictions."""
    event_id = {"event_id": task.events.key_type.dtype()}
    vector = _vector(task)
    hashed = {"feature_hash": pl.String()}
    times: dict[str, pl.DataType] = {"event_time": INSTANT, "available_at": INSTANT}
    tables = (
        Table("events", task.events.schema | _PROVENANCE, _BY_EVENT, "available_at"),
        Table(
            "labels",
            event_id | {"label": pl.Int8(), "kind": pl.String(), "available_at": INSTANT} | _PROVENANCE,
            Partition("arrival_date", "available_at"),
            "available_at",
        ),
        Table(
            "quarantine",
            {"stream": pl.String(), **_PROVENANCE, "raw": pl.String(), "rules": pl.List(pl.String())}
            | {"refused_at": INSTANT, "event_id": pl.String()},
            arrival="refused_at",
            log_days=7,
        ),
        Table(
            "deliveries",
            {"source": pl.String(), "stream": pl.String(), "from_offset": pl.Int64(), "to_offset": pl.Int64()}
            | {name: pl.Int64() for name in ("offered", "stored", "quarantined", "duplicates")}
            | {"run_id": pl.String()},
            log_days=7,
        ),
        Table(
            "labeled_events",
            task.events.schema
            | _PROVENANCE
            | {"label": pl.Int8(), "label_available_at": INSTANT, "mature": pl.Boolean(), "as_of": INSTANT},
            _BY_EVENT,
            "available_at",
        ),
        # Another feature set has other columns: it gets a folder of its own, and the old one stays readable.
        Table(
            "features",
            event_id | times | vector | hashed,
            _BY_EVENT,
            "available_at",
            folder=f"features/{task.feature_hash}",
        ),
        Table(
            "predictions",
            {"prediction_id": pl.String(), **event_id, **times, "sequence": pl.Int64(), "request": pl.String()}
            | vector
            | hashed
            | {"score": pl.Float64(), "decision": pl.Boolean(), "version": pl.Int64(), "role": pl.String()}
            | {"exposed": pl.Boolean(), **_PROVENANCE},
            _BY_EVENT,
            "available_at",
            log_days=7,
        ),
    )
    return {table.name: table for table in tables}


def _vector(task: Task) -> dict[str, pl.DataType]:
    counts = {
        column.name for window in task.windows for column in window.features if column.aggregation.kind == "count"
    }
    return {name: pl.Int64() if name in counts else pl.Float64() for name in task.feature_names}
