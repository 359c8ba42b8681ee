"""One table at one version, and the one commit that may follow it. Retrying with a newer snapshot is the caller's.

Delta records the transactions of a commit but does not deduplicate by them; what it does refuse is two commits from one
version that carry the same application id. So a writer reads the state it depends on and commits through the *same*
handle, and whoever comes second starts again from what the first one left.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import polars as pl
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake

from ct_assets.lake.tables import Table

TOUCHED = "touched"


@dataclass(frozen=True)
class Snapshot:
    """A handle that is used for one commit at most: handles that live on grow linearly in cost."""

    table: Table
    delta: DeltaTable

    @property
    def version(self) -> int:
        """The table version this snapshot shows."""
        return self.delta.version()

    def mark(self, app_id: str) -> int:
        """The number last committed under `app_id`, or -1."""
        committed = self.delta.transaction_version(app_id)
        return -1 if committed is None else committed

    def scan(self) -> pl.LazyFrame:
        """The rows, lazily, with the columns of the table; null where rows are older than a column."""
        return pl.scan_delta(self.delta).select(
            pl.col(name) if name in self._stored else pl.lit(None, dtype).alias(name)
            for name, dtype in self.table.schema.items()
        )

    def days(self) -> dict[date, int]:
        """Rows per partition, from the log alone."""
        if self.table.partition is None:
            raise ValueError(f"table {self.table.name} has no partitions")
        files = pl.DataFrame(self.delta.get_add_actions(flatten=True))
        day = pl.col(f"partition.{self.table.partition.name}")
        return dict(files.group_by(day).agg(pl.col("num_records").sum()).iter_rows()) if len(files) else {}

    def append(self, frame: pl.DataFrame, marks: Mapping[str, int], notes: Mapping[str, str] | None = None) -> None:
        """Adds `frame`, and advances `marks`, in one commit.

        Raises:
            deltalake.exceptions.CommitFailedError: another writer got there first; take a new snapshot.
        """
        write_deltalake(
            self.delta,
            self.shaped(frame),
            mode="append",
            # A feature added to a task widens the table of predictions; nothing else ever changes a stored column.
            schema_mode=None if self._stored >= set(self.table.schema) else "merge",
            commit_properties=_properties(marks, notes),
        )

    def overwrite(
        self,
        frame: pl.DataFrame,
        dates: Sequence[date],
        marks: Mapping[str, int],
        notes: Mapping[str, str] | None = None,
    ) -> None:
        """Replaces the partitions of `dates` by `frame`, which has no rows of any other date, in one commit.

        Raises:
            deltalake.exceptions.CommitFailedError: another writer got there first; take a new snapshot.
        """
        if self.table.partition is None:
            raise ValueError(f"table {self.table.name} has no partitions; append to it")
        write_deltalake(
            self.delta,
            self.shaped(frame),
            mode="overwrite",
            predicate=_days(self.table.partition.name, dates),
            commit_properties=_properties(marks, notes),
        )

    def shaped(self, frame: pl.DataFrame) -> pl.DataFrame:
        """`frame` with the columns of the table in order, its partition column filled.

        Raises:
            ValueError: a column is missing.
            polars.exceptions.InvalidOperationError: a value does not fit its column.
        """
        partition = self.table.partition
        if missing := [name for name in self.table.columns if name not in frame.columns]:
            raise ValueError(f"table {self.table.name}: the frame lacks {missing}; it has {frame.columns}")
        if partition is not None:
            frame = frame.with_columns(pl.col(partition.of).dt.date().alias(partition.name))
        return frame.select(pl.col(name).cast(dtype) for name, dtype in self.table.schema.items())

    def touched(self, frame: pl.DataFrame) -> dict[str, str]:
        """A note for the commit: per event date of `frame` (`event_date`, `available_at`), its earliest arrival."""
        days = frame.group_by("event_date").agg(pl.col("available_at").min().dt.epoch("us")).sort("event_date")
        return {TOUCHED: json.dumps({day.isoformat(): arrival for day, arrival in days.iter_rows()})}

    @property
    def _stored(self) -> set[str]:
        return {field.name for field in self.delta.schema().fields}


def _properties(marks: Mapping[str, int], notes: Mapping[str, str] | None) -> CommitProperties:
    transactions = [Transaction(app_id, version) for app_id, version in marks.items()]
    return CommitProperties(custom_metadata=dict(notes or {}), app_transactions=transactions)


def _days(column: str, dates: Sequence[date]) -> str:
    """A predicate of runs of days: a few hundred single days would nest too deep for the query planner."""
    runs: list[tuple[date, date]] = []
    for day in sorted(set(dates)):
        if runs and day - runs[-1][1] <= timedelta(days=1):
            runs[-1] = (runs[-1][0], day)
        else:
            runs.append((day, day))
    return " OR ".join(f"({column} >= '{first}' AND {column} <= '{last}')" for first, last in runs)
