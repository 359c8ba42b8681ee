"""Counts from the lake and the ledger that the demo's promises are held against. Read only."""

from dataclasses import dataclass

import polars as pl

from ct_assets.lake.lake import Lake
from ct_assets.release import ledger
from ct_assets.release.records import Decision
from feature_defs.engine.skew import Skew, compare
from feature_defs.task import Task


@dataclass(frozen=True)
class Account:
    """What became of the rows of one stream that were delivered to the lake."""

    offered: int
    stored: int
    quarantined: int
    duplicates: int

    @property
    def adds_up(self) -> bool:
        """Whether every row offered is stored, in quarantine, or a duplicate."""
        return self.offered == self.stored + self.quarantined + self.duplicates


def deliveries(lake: Lake, stream: str) -> Account:
    """The sum over all deliveries of `stream`."""
    names = ["offered", "stored", "quarantined", "duplicates"]
    rows = lake.read("deliveries", where=pl.col("stream") == stream)
    sums = rows.select(pl.col(names).sum()).collect().row(0)
    return Account(*(int(value) for value in sums))


def count(lake: Lake, table: str, where: pl.Expr | None = None) -> int:
    """Rows of a table."""
    return int(lake.read(table, where=where).select(pl.len()).collect().item())


def quarantined(lake: Lake, stream: str) -> int:
    """Rows in quarantine."""
    return count(lake, "quarantine", pl.col("stream") == stream)


def distinct(lake: Lake, table: str, column: str) -> int:
    """Different values of a column."""
    return int(lake.read(table, columns=[column]).select(pl.col(column).n_unique()).collect().item())


def decision(lake: Lake, version: int) -> Decision | None:
    """The newest decision about a version."""
    rows = [row for row in ledger.decisions(lake) if row.version == version and row.kind == "decision"]
    return rows[-1] if rows else None


def skew(lake: Lake, task: Task) -> Skew:
    """Every vector that was served against the vector that training would read for the same event."""
    names = list(task.feature_names)
    served = lake.read("predictions", columns=["event_id", *names]).collect()
    ids = served["event_id"].implode()
    stored = lake.read("features", where=pl.col("event_id").is_in(ids), columns=["event_id", *names]).collect()
    return compare(served, stored, names)
