"""The lake of one task: tables created when first written, exactly-once appends, as-of reads, versions.

What the tables are is in `tables`, what rows may enter them in `contracts` and `ingest`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import polars as pl
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError, DeltaError

from ct_assets.lake import tables
from ct_assets.lake.snapshot import Snapshot
from ct_assets.lake.tables import Table
from feature_defs.task import Task

# A writer that loses this often in a row is not unlucky: something commits in a loop.
ATTEMPTS = 20

T = TypeVar("T")


@dataclass(frozen=True)
class Lake:
    """The Delta tables of `task` under `path`, one folder each."""

    path: Path
    task: Task

    @cached_property
    def tables(self) -> Mapping[str, Table]:
        """The tables of the task by name."""
        return tables.of(self.task)

    def table(self, table: str | Table) -> Table:
        """The definition of a table.

        Raises:
            KeyError: the task has no table of that name.
        """
        if isinstance(table, Table):
            return table
        if table not in self.tables:
            raise KeyError(f"no table {table!r} in the lake of {self.task.name}; there is: {', '.join(self.tables)}")
        return self.tables[table]

    def location(self, table: str | Table) -> Path:
        """The folder of a table, which may not exist yet."""
        found = self.table(table)
        return self.path / (found.folder or found.name)

    def exists(self, table: str | Table) -> bool:
        """Whether anything was ever committed to the table."""
        return DeltaTable.is_deltatable(str(self.location(table)))

    def snapshot(self, table: str | Table, version: int | None = None) -> Snapshot:
        """A fresh handle for reading and at most one commit; creates the table when it is missing."""
        found, location = self.table(table), self.location(table)
        if not self.exists(found):
            _create(found, location)
        return Snapshot(found, DeltaTable(location, version=version))

    def append(self, table: str | Table, frame: pl.DataFrame, app_id: str, version: int, *, run_id: str = "") -> bool:
        """Adds `frame` once under `(app_id, version)`; versions of an `app_id` must grow.

        Returns:
            False when that version, or a later one, is there already; nothing is written then.
        """

        def once() -> bool:
            snapshot = self.snapshot(table)
            if snapshot.mark(app_id) >= version:
                return False
            snapshot.append(frame, {app_id: version}, {"run_id": run_id})
            return True

        return retried(once)

    def overwrite_partitions(
        self, table: str | Table, frame: pl.DataFrame, dates: Sequence[date], *, run_id: str = ""
    ) -> None:
        """Replaces the partitions of `dates` by the rows of `frame`, all of which belong to one of them."""
        retried(lambda: self.snapshot(table).overwrite(frame, dates, {}, {"run_id": run_id}))

    def read(
        self,
        table: str | Table,
        *,
        as_of: datetime | None = None,
        columns: Sequence[str] | None = None,
        where: pl.Expr | None = None,
        version: int | None = None,
    ) -> pl.LazyFrame:
        """The rows that had arrived by `as_of`, lazily; an empty frame with the right columns when there is no table.

        `version` pins a table version; -1 is the table before its first commit.

        Raises:
            ValueError: `as_of` for a table without an arrival column.
        """
        found = self.table(table)
        if version == -1 or not self.exists(found):
            rows = pl.LazyFrame(schema=found.schema)
        else:
            rows = self.snapshot(found, version).scan()
        if as_of is not None:
            if found.arrival is None:
                raise ValueError(f"table {found.name} has no arrival column, so it cannot be read as of an instant")
            rows = rows.filter(pl.col(found.arrival) <= as_of)
        if where is not None:
            rows = rows.filter(where)
        return rows if columns is None else rows.select(columns)

    def version(self, table: str | Table) -> int:
        """The newest version of a table; -1 before its first commit."""
        return self.snapshot(table).version if self.exists(table) else -1

    def watermark(self) -> datetime | None:
        """The newest arrival among events and labels: now, for a task whose clock is the stream's."""
        arrivals = pl.concat(self.read(table, columns=["available_at"]) for table in ("events", "labels"))
        newest: datetime | None = arrivals.max().collect(engine="streaming").item()
        return newest


def retried(commit: Callable[[], T]) -> T:
    """`commit()`, again from the start whenever another writer got in between.

    Raises:
        CommitFailedError: it lost `ATTEMPTS` times in a row.
    """
    for _ in range(ATTEMPTS - 1):
        try:
            return commit()
        except CommitFailedError:
            continue
    return commit()


def _create(table: Table, location: Path) -> None:
    location.mkdir(parents=True, exist_ok=True)
    try:
        DeltaTable.create(
            location,
            pl.DataFrame(schema=table.schema).to_arrow().schema,
            mode="error",
            partition_by=[table.partition.name] if table.partition else None,
            # The default of a checkpoint per 100 commits makes opening a table slower and slower in between.
            configuration={
                "delta.checkpointInterval": "10",
                "delta.logRetentionDuration": f"interval {table.log_days} days",
            },
        )
    except DeltaError:
        # Another process created it in the meantime; any other reason shows when the table is opened.
        if not DeltaTable.is_deltatable(str(location)):
            raise
