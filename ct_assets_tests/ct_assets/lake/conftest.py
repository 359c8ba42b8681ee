"""A lake in a temporary folder, and small seeded payments to put into it."""

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ct_assets.lake.lake import Lake
from feature_defs.card_fraud import task

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake", task)


@pytest.fixture(scope="session")
def payments() -> Callable[..., pl.DataFrame]:
    """Payments as a file of history has them: `rows` over `days`, in time order, with labels."""

    def make(rows: int, *, days: int = 60, seed: int = 0, first: int = 0) -> pl.DataFrame:
        rng = np.random.default_rng(seed)
        start = datetime(2018, 4, 1, tzinfo=UTC)
        seconds = np.sort(rng.integers(0, days * 86_400, rows))
        return pl.DataFrame(
            {
                "transaction_id": np.arange(first, first + rows),
                "tx_time": pl.Series([start + timedelta(seconds=int(second)) for second in seconds]).cast(
                    pl.Datetime("us", "UTC")
                ),
                "customer_id": rng.integers(0, 12, rows).astype(np.int32),
                "terminal_id": rng.integers(0, 8, rows).astype(np.int32),
                "amount": rng.integers(0, 50_000, rows) / 100,
                "is_fraud": (rng.random(rows) < 0.2).astype(np.int8),
            }
        )

    return make


@pytest.fixture(scope="session")
def card_file() -> Path:
    """The real payments, where the machine has them."""
    folder = Path(os.environ.get("CT_DATA", REPOSITORY.parent / "shared" / "data"))
    path = folder / "card_transactions.parquet"
    if not path.is_file():
        pytest.skip(f"no {path.name}: set CT_DATA to the folder that holds it")
    return path
