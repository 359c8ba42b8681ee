"""The offline executor against brute force, on histories that are small and awkward."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ct_assets_tests.feature_defs.engine import oracle, worlds
from feature_defs.columns import Text
from feature_defs.engine import offline

TASK = worlds.make_task()
TEXT_TASK = worlds.make_task(key_type=Text())
MODES = ["as_served", "as_if_on_time"]


def windows_of(task, frame):
    rows = {row.name for row in task.rows}
    return [list(row) for row in frame.select(name for name in task.feature_names if name not in rows).iter_rows()]


def bits(vectors):
    return [[None if value is None else (type(value), float(value).hex()) for value in row] for row in vectors]


@pytest.mark.parametrize("mode", MODES)
@settings(max_examples=60, deadline=None)
@given(history=worlds.histories(), data=st.data())
def test_vectors_equal_brute_force(mode, history, data):
    events, labels = worlds.event_frame(TASK, history[0]), worlds.label_frame(TASK, history[1])
    requests = events[data.draw(st.lists(st.integers(0, len(events) - 1), max_size=8))]
    computed = offline.compute(TASK, requests, events, labels, mode=mode)
    assert computed.height == requests.height
    assert bits(windows_of(TASK, computed)) == bits(oracle.compute(TASK, requests, events, labels, mode))


@pytest.mark.parametrize("mode", MODES)
@settings(max_examples=30, deadline=None)
@given(history=worlds.histories(), delays=st.lists(st.integers(0, 70), min_size=16, max_size=16))
def test_a_history_that_asks_about_itself_equals_brute_force(mode, history, delays):
    """Every event is asked about and has one label, the case that takes the engine's shortcuts."""
    rows = sorted({row["event_id"]: row for row in history[0]}.values(), key=lambda row: row["event_time"])
    for row in rows:
        row |= {"who": row["who"] or 0, "place": row["place"] or "a", "member": True}
    said = [
        {
            "event_id": row["event_id"],
            "label": delay % 2,
            "kind": "truth",
            "available_at": row["available_at"] + worlds.HOUR * (delay + 1),
        }
        for row, delay in zip(rows, delays, strict=False)
    ]
    events, labels = worlds.event_frame(TASK, rows), worlds.label_frame(TASK, said)
    computed = offline.compute(TASK, events, events, labels, mode=mode)
    assert bits(windows_of(TASK, computed)) == bits(oracle.compute(TASK, events, events, labels, mode))


@settings(max_examples=25, deadline=None)
@given(history=worlds.histories(text_ids=True))
def test_text_ids_break_ties_by_their_text(history):
    events, labels = worlds.event_frame(TEXT_TASK, history[0]), worlds.label_frame(TEXT_TASK, history[1])
    computed = offline.compute(TEXT_TASK, events, events, labels)
    assert bits(windows_of(TEXT_TASK, computed)) == bits(oracle.compute(TEXT_TASK, events, events, labels))


@settings(max_examples=25, deadline=None)
@given(history=worlds.histories(), threads=st.sampled_from([2, 4]), seed=st.integers(0, 99))
def test_neither_threads_nor_the_order_of_rows_change_a_bit(history, threads, seed):
    events, labels = worlds.event_frame(TASK, history[0]), worlds.label_frame(TASK, history[1])
    events = events.unique("event_id", keep="first", maintain_order=True)
    straight = offline.compute(TASK, events, events, labels)
    shuffled = offline.compute(
        TASK,
        events,
        events.sample(fraction=1, shuffle=True, seed=seed),
        labels.sample(fraction=1, shuffle=True, seed=seed),
        threads=threads,
    )
    assert straight.equals(shuffled)


@settings(max_examples=25, deadline=None)
@given(history=worlds.histories(), data=st.data())
def test_labels_that_have_not_arrived_change_nothing(history, data):
    events, labels = worlds.event_frame(TASK, history[0]), worlds.label_frame(TASK, history[1])
    now = events["available_at"].max()
    requests = events.filter(pl.col("available_at") <= now)
    future = labels.filter(pl.col("available_at") >= now)
    flipped = future.with_columns(label=pl.Series(data.draw(st.permutations(future["label"].to_list())), dtype=pl.Int8))
    arrived = labels.filter(pl.col("available_at") < now)
    before = offline.compute(TASK, requests, events, pl.concat([arrived, future]))
    assert before.equals(offline.compute(TASK, requests, events, pl.concat([arrived, flipped])))
    assert before.equals(offline.compute(TASK, requests, events, arrived))


def test_an_unknown_entity_is_an_empty_one_and_no_row_is_lost():
    events = worlds.event_frame(TASK, [])
    asked = {"event_id": 1, "event_time": worlds.START, "available_at": worlds.START, "who": 7, "place": "x"}
    requests = worlds.event_frame(TASK, [asked | dict.fromkeys(["amount", "steps", "speed", "member"])])
    row = offline.compute(TASK, requests, events, worlds.label_frame(TASK, [])).row(0, named=True)
    assert (row["who_count_3h"], row["who_amount_sum_3h"], row["who_place_distinct_2d"]) == (0, 0.0, 0)
    assert row["who_amount_mean_3h"] is None
    assert row["per_count"] is None


def test_no_requests_give_no_rows_of_the_right_types():
    events = worlds.event_frame(TASK, [])
    computed = offline.compute(TASK, events, events, worlds.label_frame(TASK, []))
    assert computed.height == 0
    assert computed.columns == ["event_id", *TASK.feature_names]
    assert computed.schema["who_count_1h"] == pl.Int64
    assert computed.schema["hour"] == pl.Float64


@pytest.mark.parametrize("values", [[2**62, 2**62], [-(2**62), -(2**62), -1]])
def test_a_sum_beyond_64_bits_is_an_error_and_never_wraps(values):
    rows = [
        {
            "event_id": i,
            "event_time": worlds.START + i,
            "available_at": worlds.START + i,
            "who": 1,
            "place": None,
            "amount": None,
            "steps": value,
            "speed": None,
            "member": None,
        }
        for i, value in enumerate([*values, 0])
    ]
    events = worlds.event_frame(TASK, rows)
    with pytest.raises(OverflowError, match="64 bits"):
        offline.compute(TASK, events, events, worlds.label_frame(TASK, []))
    within = worlds.event_frame(TASK, [*rows[:1], *rows[2:]])
    answer = offline.compute(TASK, within, within, worlds.label_frame(TASK, []))
    assert answer["who_steps_sum_1h"][-1] == float(sum(row["steps"] for row in [*rows[:1], *rows[2:]]))


def test_an_unknown_mode_is_refused():
    events = worlds.event_frame(TASK, [])
    with pytest.raises(ValueError, match="as_if_on_time"):
        offline.compute(TASK, events, events, worlds.label_frame(TASK, []), mode="soon")
