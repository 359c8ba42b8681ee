"""Switches for what goes wrong between the world and whoever has to learn from it. All off by default."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from ct_assets.simulator.randomness import Purpose, generator

# A late terminal comes back within two hours, well before the first chargeback of its payments.
_LATEST_US = 2 * 3_600_000_000
# A client that got no answer asks again within ten minutes.
_RETRY_US = 600_000_000


@dataclass(frozen=True)
class Span:
    """Days `[first, first + days)`, counted from the first simulated day."""

    first: int
    days: int

    def __contains__(self, day: int) -> bool:
        return self.first <= day < self.first + self.days


@dataclass(frozen=True, kw_only=True)
class Faults:
    """What goes wrong.

    `card_testing_from`: day on which a fraud nobody has seen before begins.
    `unit_bug`: days on which amounts come in cents instead of euros.
    `null_burst`, `null_share`: days on which that share of the amounts is missing.
    `label_outage`: days on which no label arrives; all of them arrive when it ends.
    `duplicated`, `late`: share of payments delivered twice (within ten minutes), or up to two hours late.
    """

    card_testing_from: int | None = None
    unit_bug: Span | None = None
    null_burst: Span | None = None
    null_share: float = 0.3
    label_outage: Span | None = None
    duplicated: float = 0.0
    late: float = 0.0


def garble(amount: pl.Series, day: int, seed: int, faults: Faults) -> pl.Series:
    """The day's amounts as upstream reports them."""
    if faults.unit_bug is not None and day in faults.unit_bug:
        amount = (amount * 100).round(0)
    if faults.null_burst is not None and day in faults.null_burst:
        lost = generator(seed, Purpose.NULLS, day).random(len(amount)) < faults.null_share
        amount = amount.scatter(np.flatnonzero(lost).tolist(), None)
    return amount


def deliver(day_events: pl.DataFrame, day: int, seed: int, faults: Faults) -> pl.DataFrame:
    """The day's payments with `delivered_at`: some late, some a second time. Not yet in order of delivery."""
    random = generator(seed, Purpose.DELIVERY, day)
    size = len(day_events)
    is_late, delay = random.random(size) < faults.late, random.integers(1, _LATEST_US, size)
    is_repeated, pause = random.random(size) < faults.duplicated, random.integers(1, _RETRY_US, size)
    lateness = pl.Series(np.where(is_late, delay, 0)).cast(pl.Duration("us"))
    delivered = day_events.with_columns((pl.col("tx_time") + lateness).alias("delivered_at"))
    pauses = pl.Series(pause).cast(pl.Duration("us"))
    again = delivered.with_columns(pl.col("delivered_at") + pauses).filter(is_repeated)
    return pl.concat([delivered, again])


def hold_back(midnight: datetime, faults: Faults) -> pl.Expr:
    """`label_time` if nothing comes through during the outage. `midnight` is when day 0 begins."""
    label_time = pl.col("label_time")
    if faults.label_outage is None:
        return label_time
    begins = midnight + timedelta(days=faults.label_outage.first)
    ends = pl.lit(begins + timedelta(days=faults.label_outage.days)).cast(pl.Datetime("us", "UTC"))
    held = (label_time >= begins) & (label_time < ends)
    return pl.when(held).then(ends).otherwise(label_time).alias("label_time")
