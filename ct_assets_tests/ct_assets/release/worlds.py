"""A lake with rows to learn from, and a registry, for the tests of training and release."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl

from ct_assets.lake.lake import Lake
from ct_assets.release.registry import Registry
from feature_defs.card_fraud import task as card_fraud
from feature_defs.learner import BoostedTrees
from feature_defs.task import Task

Fill = Callable[[int], datetime]

START = datetime(2024, 3, 1, tzinfo=UTC)

# Card fraud with a learner and a bootstrap that are quick.
TASK = replace(
    card_fraud,
    learner=BoostedTrees(rounds=8, max_bin=32, threads=1),
    policy=replace(card_fraud.policy, window="14d", holdout="7d"),
    gates=replace(card_fraud.gates, replicates=60, margin=0.05),
)


@cache
def empty_database(folder: Path) -> Path:
    """An MLflow database below `folder`. Its migrations take seconds, so they run once."""
    made = Registry(folder / "mlflow-template" / "mlflow.db", folder / "mlflow-template" / "artifacts")
    made.create()
    return made.db


def empty_registry(folder: Path, database: Path) -> Registry:
    """A registry below `folder` that starts from a copy of `database`."""
    made = Registry(folder / "mlflow" / "mlflow.db", folder / "mlflow" / "artifacts")
    made.db.parent.mkdir()
    shutil.copy2(database, made.db)
    return made


def fill(lake: Lake, days: int) -> datetime:
    """Put `days` of learnable rows into the lake; returns the instant at which the last of them is mature."""
    events, vectors = learnable(lake.task, days)
    lake.append("labeled_events", events, "test", 1)
    lake.append("features", vectors, "test", 1)
    return START + timedelta(days=days, microseconds=lake.task.label.horizon_us)


def learnable(task: Task, days: int, per_day: int = 120) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Labelled events from `START` on, and vectors of which two columns say something about the label."""
    random = np.random.default_rng(0)
    size = days * per_day
    at = np.sort(random.integers(0, days * 86_400, size))
    labels = (random.random(size) < 0.12).astype(np.int8)
    time = pl.Series([START + timedelta(seconds=int(second)) for second in at], dtype=pl.Datetime("us", "UTC"))
    events = pl.DataFrame(
        {
            "event_id": np.arange(size),
            "event_time": time,
            "available_at": time,
            "customer_id": random.integers(0, 300, size),
            "terminal_id": random.integers(0, 200, size),
            "amount": np.round(random.gamma(2, 20, size), 2),
            "source": ["file"] * size,
            "offset": np.arange(size),
            "label": labels,
            "label_available_at": time + timedelta(microseconds=task.label.horizon_us),
            "mature": [True] * size,
            "as_of": [START + timedelta(days=days + 7)] * size,
        }
    )
    vectors = {name: random.random(size) for name in task.feature_names}
    vectors["amount"] = labels * random.gamma(4, 1, size) + random.gamma(2, 1, size)
    known = random.random(size) > 0.3
    vectors["terminal_fraud_mean_7d"] = np.where(known, 0.4 * labels + random.random(size), np.nan)
    frame = pl.DataFrame(vectors, nan_to_null=True).with_columns(
        pl.col("^.*_count_.*$") * 9, feature_hash=pl.lit(task.feature_hash)
    )
    return events, pl.concat([events.select("event_id", "event_time", "available_at"), frame], how="horizontal")
