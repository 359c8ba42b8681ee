"""Skew and lateness of served vectors, through a real store, journal and lake."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from ct_assets import skew
from ct_assets.lake import ingest, materialize
from ct_assets.lake.drain import drain
from ct_assets.lake.lake import Lake
from feature_defs import catalogue
from feature_defs.engine.online import OnlineStore
from feature_defs.engine.records import Event, Scored

TASK = catalogue.load("card_fraud")
NOON = datetime(2025, 3, 1, 12, tzinfo=UTC)


def event(number: int, when: datetime) -> Event:
    return Event(number, int(when.timestamp() * 1_000_000), {"customer_id": 1, "terminal_id": 2, "amount": 5.0})


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Two payments of one card; the earlier one comes an hour late, after the later one was answered."""
    with OnlineStore.open(tmp_path / "store", TASK) as store:
        for number, when in ((1, NOON), (2, NOON - timedelta(hours=1))):
            store.observe([event(number, when)], lambda vectors: [Scored(0.5, True, 1)] * len(vectors))
    lake = Lake(tmp_path / "lake", TASK)
    for kind in ("events", "predictions"):
        drain(lake, tmp_path / "store", kind, run_id="a test")
    materialize.features(lake, lake.watermark())
    return lake


def test_a_late_event_is_no_skew(lake: Lake) -> None:
    found = skew.measure(lake)
    assert found.compared == 2 * len(TASK.feature_names)
    assert found.passed


def test_lateness_says_what_the_late_event_would_have_changed(lake: Lake) -> None:
    found = skew.lateness(lake)
    assert {name for name, count in found.by_feature.items() if count} == {
        f"customer_{what}_{width}" for what in ("count", "amount_mean") for width in ("1d", "7d", "30d")
    }
    assert found.mismatched == 6


def test_a_changed_vector_is_found(lake: Lake) -> None:
    features = lake.read("features").collect()
    changed = features.with_columns(amount=features["amount"] + 1e-9)
    lake.overwrite_partitions("features", changed, changed["event_date"].unique().to_list())
    found = skew.measure(lake)
    assert not found.passed
    assert found.by_feature["amount"] == found.mismatched == 2


def test_a_payment_of_history_that_is_scored_again_is_no_skew(tmp_path: Path) -> None:
    """Its row in the lake says when it happened; the question about it came later, when more was known."""
    lake = Lake(tmp_path / "lake", TASK)
    times = [NOON, NOON + timedelta(hours=1)]
    history = pl.DataFrame(
        {"transaction_id": [1, 2], "tx_time": times, "customer_id": [1, 1], "terminal_id": [2, 2], "amount": [5.0, 7.0]}
    )
    ingest.deliver(lake, "events", history, "history", run_id="a test")
    stored = lake.read("events").collect()
    with OnlineStore.open(tmp_path / "store", TASK) as store:
        store.bootstrap(stored, lake.read("labels").collect())
        # The third payment comes late: the second one did not know it in history, and does when scored again.
        for asked in (event(3, NOON + timedelta(minutes=30)), event(2, times[1]), event(4, NOON + timedelta(hours=3))):
            store.observe([asked], lambda vectors: [Scored(0.5, True, 1)] * len(vectors))
    for kind in ("events", "predictions"):
        drain(lake, tmp_path / "store", kind, run_id="a test")
    materialize.features(lake, lake.watermark())
    found = skew.measure(lake)
    assert found.compared == 3 * len(TASK.feature_names)
    assert found.passed, found
    again = lake.read("predictions", where=pl.col("event_id") == 2).collect()["customer_count_1d"].item()
    before = lake.read("features", where=pl.col("event_id") == 2).collect()["customer_count_1d"].item()
    assert (again, before) == (2, 1)


def test_nothing_was_served_yet(tmp_path: Path) -> None:
    for look in (skew.measure, skew.lateness):
        found = look(Lake(tmp_path / "lake", TASK))
        assert (found.compared, found.passed) == (0, True)
