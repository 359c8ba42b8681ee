"""Late labels: when it becomes known how a payment turned out.

A fraud is charged back after a lognormal number of days. Whatever was not charged back within the horizon is stated
to be genuine when the horizon ends; a chargeback after that corrects the statement.
"""

from datetime import datetime

import numpy as np
import polars as pl

from ct_assets.simulator.faults import Faults, hold_back
from ct_assets.simulator.randomness import Purpose, generator

HORIZON_US = 7 * 86_400_000_000
# ln(days): half of the chargebacks are in after two and a half days, 4 % only after the horizon.
CHARGEBACK_MEDIAN_DAYS = 2.5
CHARGEBACK_SIGMA = 0.6


def statements(day_events: pl.DataFrame, day: int, seed: int, midnight: datetime, faults: Faults) -> pl.DataFrame:
    """What will be said about the day's payments: `transaction_id`, `is_fraud` (0 or 1) and `label_time`.

    `day_events` has one row per payment in order of `transaction_id`, with `tx_time` and `scenario`.
    """
    random = generator(seed, Purpose.CHARGEBACK, day)
    days = random.lognormal(np.log(CHARGEBACK_MEDIAN_DAYS), CHARGEBACK_SIGMA, len(day_events))
    after_us = np.maximum((days * 86_400_000).astype(np.int64), 1) * 1_000
    told = day_events.select(
        "transaction_id", "tx_time", (pl.col("scenario") > 0).alias("fraud"), pl.Series("after_us", after_us)
    )
    overlooked = ~pl.col("fraud") | (pl.col("after_us") > HORIZON_US)
    horizon, chargeback = pl.duration(microseconds=HORIZON_US), pl.duration(microseconds=pl.col("after_us"))
    genuine = told.filter(overlooked).select(
        "transaction_id", is_fraud=pl.lit(0, pl.Int8), label_time=pl.col("tx_time") + horizon
    )
    charged = told.filter("fraud").select(
        "transaction_id", is_fraud=pl.lit(1, pl.Int8), label_time=pl.col("tx_time") + chargeback
    )
    return pl.concat([genuine, charged]).with_columns(hold_back(midnight, faults))
