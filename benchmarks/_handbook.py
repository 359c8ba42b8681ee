"""The card file of the Fraud Detection Handbook: our features over it, and its weekly splits. No model lives here."""

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ct_assets.learners.boosted_trees import matrix
from feature_defs.card_fraud import task
from feature_defs.engine import offline, statements

FILE = "card_transactions.parquet"

# First day of the published training week.
PUBLISHED = datetime(2018, 7, 25, tzinfo=UTC)

WEEK = timedelta(days=7)

# The longest window (30 days) and its delay (7 days): nothing before it can enter a feature.
LOOKBACK = timedelta(days=37)

Mask = NDArray[np.bool_]


class MissingDataError(Exception):
    """The card file is not there; the message says where it was looked for."""


def locate(given: Path | None) -> Path:
    """The card file: `given`, else below `CT_DATA`, else below `../shared/data` beside the repository.

    Raises:
        MissingDataError: it is not there.
    """
    folder = Path(os.environ.get("CT_DATA", Path(__file__).parents[2] / "shared" / "data"))
    path = given or (folder if folder.suffix == ".parquet" else folder / FILE)
    if not path.is_file():
        raise MissingDataError(f"no card file at {path}: pass --data FILE, or name its folder in CT_DATA")
    return path


@dataclass(frozen=True, eq=False)
class Payments:
    """Payments in time order: vectors (n, features), labels (n), and what splits and metrics go by."""

    vectors: pl.DataFrame
    labels: NDArray[np.int8]
    customers: NDArray[np.int32]
    days: NDArray[np.int64]

    def subset(self, rows: Mask) -> tuple[NDArray[np.float64], NDArray[np.int8]]:
        """Vectors and labels of some rows."""
        return matrix(self.vectors.filter(rows)), self.labels[rows]


def payments(path: Path, start: datetime, end: datetime) -> Payments:
    """Payments of [start, end) with our features, computed from the `LOOKBACK` before `start` on."""
    file = (
        pl.scan_parquet(path)
        .filter(pl.col("tx_time").is_between(start - LOOKBACK, end, closed="left"))
        .sort("tx_time", "transaction_id")
        .collect()
    )
    events = file.select(
        event_id="transaction_id",
        event_time="tx_time",
        available_at="tx_time",
        customer_id="customer_id",
        terminal_id="terminal_id",
        amount="amount",
    )
    wanted = file["tx_time"] >= start
    found = offline.compute(task, events.filter(wanted), events, statements.from_rule(task, file), threads=2)
    rows = file.filter(wanted)
    return Payments(
        vectors=found.select(task.feature_names),
        labels=rows["is_fraud"].to_numpy(),
        customers=rows["customer_id"].to_numpy(),
        days=rows["tx_time"].dt.epoch("d").cast(pl.Int64).to_numpy(),
    )


def split(data: Payments, start: datetime) -> tuple[Mask, Mask]:
    """The handbook's split: a week of training from `start`, a week of delay, a week of test without blocked cards.

    A card is blocked on a test day if it was defrauded in the training week, or later up to a week before that day: by
    then its fraud is known.
    """
    first = (start - datetime(1970, 1, 1, tzinfo=UTC)).days
    train = (data.days >= first) & (data.days < first + 7)
    test = np.zeros(len(data.days), dtype=bool)
    defrauded = data.labels == 1
    for day in range(first + 14, first + 21):
        known = data.customers[defrauded & (data.days >= first) & (data.days < day - 7)]
        test |= (data.days == day) & ~np.isin(data.customers, known)
    return train, test
