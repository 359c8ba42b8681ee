"""The entity state on disk: advanced step by step or made at once, and what a store bootstrapped from it serves."""

import shutil
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from ct_assets import entity_state, online_store
from ct_assets.lake import ingest
from ct_assets.lake.lake import Lake
from ct_assets.settings import Home
from feature_defs import catalogue
from feature_defs.engine.online import OnlineStore
from feature_defs.engine.records import Event

TASK = catalogue.load("card_fraud")


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake", TASK)


def deliver(lake: Lake, world, first: int, last: int) -> None:
    events, labels = world.between(first, last)
    ingest.deliver(lake, "events", events, f"events {first}", run_id="a test")
    ingest.deliver(lake, "labels", labels, f"labels {first}", run_id="a test")


def frames(lake: Lake) -> list[pl.DataFrame]:
    state = entity_state.load(lake)
    keys = ({"events": ["event_id"], "labels": ["event_id"], "floors": ["history", "entity"]}).items()
    found = [getattr(state, name).sort(key) for name, key in keys]
    return [frame.select(sorted(frame.columns)) for frame in found]


def test_nothing_has_arrived(lake: Lake) -> None:
    assert entity_state.bring_up(lake) is None
    assert entity_state.load(lake).events.is_empty()


def test_day_by_day_is_all_at_once(tmp_path: Path, small_world) -> None:
    stepwise, whole = Lake(tmp_path / "stepwise", TASK), Lake(tmp_path / "whole", TASK)
    for first, last in ((0, 30), (30, 31), (31, 45), (45, 58)):
        deliver(stepwise, small_world, first, last)
        entity_state.bring_up(stepwise)
    deliver(whole, small_world, 0, 58)
    entity_state.bring_up(whole)
    for one, other in zip(frames(stepwise), frames(whole), strict=True):
        assert_frame_equal(one, other)


def test_doing_it_again_changes_nothing(lake: Lake, small_world) -> None:
    deliver(lake, small_world, 0, 10)
    first = entity_state.bring_up(lake)
    again = entity_state.bring_up(lake)
    assert first.days > 0
    assert again.days == 0
    assert (again.folder, again.as_of, again.events) == (first.folder, first.as_of, first.events)


def test_history_that_comes_later_is_not_missed(lake: Lake, small_world) -> None:
    deliver(lake, small_world, 10, 20)
    before = entity_state.bring_up(lake)
    deliver(lake, small_world, 0, 10)
    after = entity_state.bring_up(lake)
    assert after.events > before.events
    advanced = frames(lake)
    shutil.rmtree(entity_state.location(lake))
    entity_state.bring_up(lake)
    for one, other in zip(advanced, frames(lake), strict=True):
        assert_frame_equal(one, other)


def test_a_store_bootstrapped_from_it_serves_what_all_history_would(tmp_path: Path, small_world) -> None:
    """Also for requests that come days late, and for entities that were quiet for long."""
    home, lake = Home(tmp_path), Lake(tmp_path / "lake", TASK)
    deliver(lake, small_world, 0, 58)
    entity_state.bring_up(lake)
    assert online_store.bring_up(home, lake).rebuilt
    assert not online_store.bring_up(home, lake).rebuilt
    events, labels = lake.read("events").collect(), lake.read("labels").collect()
    newest = events["event_time"].max()
    dice = np.random.default_rng(0)
    with (
        OnlineStore.open(home.store(TASK.name), TASK) as store,
        OnlineStore.open(tmp_path / "everything", TASK) as everything,
    ):
        everything.bootstrap(events, labels)
        assert store.watermark == everything.watermark
        for number in range(300):
            late = timedelta(days=float(dice.choice([-0.5, 0, 1, 3, 6])))
            values = {
                "customer_id": int(dice.choice(events["customer_id"])),
                "terminal_id": int(dice.choice(events["terminal_id"])),
                "amount": 10.0,
            }
            micros = int((newest - late).timestamp() * 1_000_000)
            event = Event(10_000_000 + number, micros, values)
            np.testing.assert_array_equal(store.vector(event).view(np.int64), everything.vector(event).view(np.int64))
