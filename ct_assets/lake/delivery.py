"""What became of the rows of a source: the account of a delivery, and the table of all of them."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import polars as pl

from ct_assets.lake.lake import Lake


@dataclass(frozen=True)
class Delivery:
    """Rows offered, and where each of them is now; `reasons` counts the rules that quarantined rows broke.

    Raises:
        ValueError: the account does not add up.
    """

    offered: int = 0
    stored: int = 0
    quarantined: int = 0
    duplicates: int = 0
    reasons: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        if self.offered != self.stored + self.quarantined + self.duplicates:
            raise ValueError(f"{self} does not add up: offered = stored + quarantined + duplicates")

    def __add__(self, other: "Delivery") -> "Delivery":
        return Delivery(
            self.offered + other.offered,
            self.stored + other.stored,
            self.quarantined + other.quarantined,
            self.duplicates + other.duplicates,
            dict(Counter(self.reasons) + Counter(other.reasons)),
        )

    @property
    def quarantined_share(self) -> float:
        """Share of offered rows that were refused; 0 when nothing was offered."""
        return self.quarantined / self.offered if self.offered else 0.0


def total(lake: Lake, stream: str, source: str | None = None, run_id: str | None = None) -> Delivery:
    """The account of everything ever delivered to `stream`, or what `source` delivered of it, or within `run_id`.

    Rows that a source offers again under offsets it has delivered already are not counted twice.
    """
    where = pl.col("stream") == stream
    if source is not None:
        where &= pl.col("source") == source
    within = where if run_id is None else where & (pl.col("run_id") == run_id)
    counts = ("offered", "stored", "quarantined", "duplicates")
    sums = lake.read("deliveries", where=within).select(pl.col(counts).sum()).collect().row(0, named=True)
    if run_id is not None:
        return Delivery(**sums)
    refused = lake.read("quarantine", where=where).select("rules").collect()
    reasons = refused["rules"].explode().drop_nulls().value_counts()
    return Delivery(**sums, reasons=dict(sorted(reasons.iter_rows())))
