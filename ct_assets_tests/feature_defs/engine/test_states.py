"""Batch by batch equals all at once, to the bit."""

import itertools
import tempfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ct_assets_tests.feature_defs.engine import replay, worlds
from feature_defs.columns import Text
from feature_defs.engine import offline
from feature_defs.engine.online import OnlineStore
from feature_defs.engine.records import Event
from feature_defs.engine.states import EntityStates, advance

TASK = worlds.make_task(lateness="1d")
TEXT_TASK = worlds.make_task(key_type=Text(), lateness="1d")


def batches(events, labels, cuts):
    edges = [None, *cuts, None]
    for low, high in itertools.pairwise(edges):
        inside = pl.lit(value=True)
        if low is not None:
            inside &= pl.col("available_at") > low
        if high is not None:
            inside &= pl.col("available_at") <= high
        yield events.filter(inside), labels.filter(inside)


@pytest.mark.parametrize("task", [TASK, TEXT_TASK], ids=["whole ids", "text ids"])
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_batches_equal_a_full_recompute_to_the_bit(task, data):
    found = data.draw(worlds.histories(text_ids=task is TEXT_TASK, late=False))
    events, labels = worlds.event_frame(task, found[0]), worlds.label_frame(task, found[1])
    cuts = sorted(set(data.draw(st.lists(st.sampled_from(events["available_at"].to_list()), max_size=4))))
    state, parts = EntityStates.empty(task), []
    for some_events, some_labels in batches(events, labels, cuts):
        vectors, state = advance(task, state, some_events, some_labels)
        parts.append(vectors)
    first = events.sort("available_at", maintain_order=True).unique("event_id", keep="first", maintain_order=True)
    whole = offline.compute(task, first, events, labels)
    assert pl.concat(parts).sort("event_id").equals(whole.sort("event_id"))

    probe = events.sort("available_at")[-1].with_columns(pl.col("event_time").to_physical()).row(0, named=True)
    later = Event(
        "later" if task is TEXT_TASK else 99, probe["event_time"] + worlds.HOUR, replay.as_event(task, probe).values
    )
    with tempfile.TemporaryDirectory() as folder:
        for name, past in (("whole", (events, labels)), ("state", (state.events, state.labels))):
            with OnlineStore.open(Path(folder) / name, task) as store:
                store.bootstrap(*past)
                vector = store.vector(later).view(np.uint64)
            if name == "whole":
                expected = vector
        assert np.array_equal(vector, expected)


def days(task, count):
    rows = [
        {
            "event_id": day,
            "event_time": worlds.START + day * 24 * worlds.HOUR,
            "available_at": worlds.START + day * 24 * worlds.HOUR,
            "who": 1,
            "place": "a",
            "amount": 1.0,
            "steps": 1,
            "speed": None,
            "member": True,
        }
        for day in range(count)
    ]
    return worlds.event_frame(task, rows)


def test_the_state_forgets_what_no_window_reaches():
    events, none = days(TASK, 100), worlds.label_frame(TASK, [])
    state = EntityStates.empty(TASK)
    for day in range(0, 100, 10):
        _, state = advance(TASK, state, events[day : day + 10], none)
    assert len(state.events) < 10
    assert state.floors["floor"].max() < events["event_time"].max()


def test_an_event_too_late_to_be_exact_is_refused():
    events, none = days(TASK, 100), worlds.label_frame(TASK, [])
    _, state = advance(TASK, EntityStates.empty(TASK), events[:99], none)
    late = events[99:].with_columns(event_time=events["event_time"][50])
    with pytest.raises(ValueError, match="more than 1d behind"):
        advance(TASK, state, late, none)


def test_a_batch_that_overlaps_the_state_is_refused():
    events, none = days(TASK, 3), worlds.label_frame(TASK, [])
    _, state = advance(TASK, EntityStates.empty(TASK), events[:2], none)
    earlier = events[2:].with_columns(available_at=events["available_at"][1])
    with pytest.raises(ValueError, match="cut batches by arrival"):
        advance(TASK, state, earlier, none)
    vectors, after = advance(TASK, state, events[:1], none)
    assert (len(vectors), len(after.events)) == (0, len(state.events))
