"""The online store against the offline executor, bit by bit, through ties, lateness, repeats, restarts and kill -9."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ct_assets_tests.feature_defs.engine import replay, worlds
from ct_assets_tests.feature_defs.engine.replay import DAY, payment
from feature_defs import card_fraud
from feature_defs.columns import Text
from feature_defs.engine import histories, journal
from feature_defs.engine.compiled import state
from feature_defs.engine.online import OnlineStore
from feature_defs.engine.records import Event, Statement

TASK = worlds.make_task()
TEXT_TASK = worlds.make_task(key_type=Text())


@pytest.mark.parametrize("task", [TASK, TEXT_TASK], ids=["whole ids", "text ids"])
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_served_vectors_equal_offline_ones_across_restarts(task, data):
    rows, statements = data.draw(worlds.histories(text_ids=task is TEXT_TASK))
    rows.sort(key=lambda row: row["available_at"])
    moves = sorted(
        [(row["available_at"], 0, row) for row in rows] + [(said["available_at"], 1, said) for said in statements],
        key=lambda move: move[:2],
    )
    with tempfile.TemporaryDirectory() as folder:
        opened = OnlineStore.open(Path(folder), task)
        for _, is_label, row in moves:
            if data.draw(st.integers(0, 9)) == 0:
                opened.close()
                opened = OnlineStore.open(Path(folder), task)
            if is_label:
                opened.label([replay.as_statement(row)])
            else:
                opened.observe([replay.as_event(task, row)], replay.predict)
        found = replay.skew_of(opened, task)
        opened.close()
    assert found.passed, found
    assert found.compared == len({row["event_id"] for row in rows}) * len(task.feature_names)


@settings(max_examples=25, deadline=None)
@given(history=worlds.histories(late=True), cut=st.floats(0, 1), text=st.booleans())
def test_a_bootstrapped_store_goes_on_as_if_it_had_seen_everything(history, cut, text):
    task = TEXT_TASK if text else TASK
    if text:
        for row in [*history[0], *history[1]]:
            row["event_id"] = f"n{row['event_id']}"
    events, labels = worlds.event_frame(task, history[0]), worlds.label_frame(task, history[1])
    events = events.unique("event_id", keep="first", maintain_order=True).sort("available_at")
    past, live = events[: int(cut * len(events))], events[int(cut * len(events)) :]
    now = past["available_at"].max() if len(past) else None
    arrived = labels.filter(pl.col("available_at") <= now) if now else labels[:0]
    with tempfile.TemporaryDirectory() as folder, OnlineStore.open(Path(folder), task) as opened:
        opened.bootstrap(past, arrived)
        opened.bootstrap(past, arrived)
        for row in live.with_columns(pl.col("event_time").to_physical()).iter_rows(named=True):
            opened.observe([replay.as_event(task, row)], replay.predict)
        assert replay.skew_of(opened, task, past, arrived).passed
        # What the journal holds and the lake does not is part of the state.
        opened.bootstrap(past, arrived)
        probe = replay.as_event(task, events.with_columns(pl.col("event_time").to_physical()).row(-1, named=True))
        later = Event("later" if text else 99, probe.event_time_us + worlds.HOUR, probe.values)
        before = opened.vector(later)
        opened.observe([later], replay.predict)
        assert replay.skew_of(opened, task, past, arrived).passed
        assert np.array_equal(before.view(np.uint64), np.array(last_vector(opened)).view(np.uint64))


def last_vector(store):
    return journal.read(store, "predictions", journal.last(store, "predictions") - 1)[0].vector


def test_the_wall_clock_is_used_when_the_task_says_so(tmp_path):
    with OnlineStore.open(tmp_path, worlds.make_task(clock="wall")) as opened:
        event = Event(1, 5, {})
        assert opened.observe([event], replay.predict, now_us=1000)[0].available_at_us == 1000
        with pytest.raises(ValueError, match="now_us"):
            opened.observe([Event(2, 5, {})], replay.predict)


def test_an_edited_definition_needs_its_own_bootstrap(tmp_path):
    with OnlineStore.open(tmp_path, card_fraud.task) as opened:
        opened.observe([payment(1, 0)], replay.predict)
    with OnlineStore.open(tmp_path, TASK) as other, pytest.raises(ValueError, match="bootstrap"):
        other.vector(Event(1, 0, {}))


def test_the_environment_grows_by_itself_in_every_process(tmp_path):
    with OnlineStore.open(tmp_path, card_fraud.task, map_size=2**20) as opened:
        script = (
            "import sys; from pathlib import Path; from ct_assets_tests.feature_defs.engine import replay;"
            "from feature_defs import card_fraud; from feature_defs.engine.online import OnlineStore;"
            "store = OnlineStore.open(Path(sys.argv[1]), card_fraud.task, map_size=2**20);"
            "[store.observe([replay.payment(n, n) for n in range(b, b + 100)], replay.predict)"
            " for b in range(0, 5000, 100)]"
        )
        subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True)
        assert opened.sequence == 5000
        opened.observe([payment(n, n) for n in range(5000, 9000)], replay.predict)
        assert journal.backlog(tmp_path, "events") == 9000
        assert replay.skew_of(opened, card_fraud.task).passed


WRITER = """
import sys
from pathlib import Path
from ct_assets_tests.feature_defs.engine import replay
from feature_defs import card_fraud
from feature_defs.engine.online import OnlineStore
from feature_defs.engine.records import Event, Statement

DAY = 86400 * 10**6
with OnlineStore.open(Path(sys.argv[1]), card_fraud.task) as store:
    number = store.sequence
    while True:
        number += 1
        time = number * DAY // 40 - (number % 7) * DAY // 20
        values = {"customer_id": number % 5, "terminal_id": number % 3, "amount": (number % 991) / 100}
        answer = store.observe([Event(number, max(time, 0), values)], replay.predict)[0]
        print(answer.sequence, flush=True)
        number = store.label([Statement(number, number % 2, "truth", time + 7 * DAY)])[0].sequence
"""


@pytest.mark.parametrize("durability", ["process", "disk"])
def test_kill_9_loses_nothing_that_was_answered(tmp_path, durability):
    script = WRITER.replace("card_fraud.task)", f"card_fraud.task, durability={durability!r})")
    for answers in (1, 23, 60):
        writer = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        for _ in range(answers):
            acknowledged = int(writer.stdout.readline())
        os.kill(writer.pid, signal.SIGKILL)
        acknowledged = int([str(acknowledged), *writer.stdout.read().split("\n")[:-1]][-1])
        writer.wait()
        writer.stdout.close()
        with OnlineStore.open(tmp_path, card_fraud.task) as opened:
            assert opened.sequence >= acknowledged
            kept = {record.sequence for record in journal.read(opened, "predictions", 0, 10**6)}
            assert acknowledged in kept
            labels = {record.sequence for record in journal.read(opened, "labels", 0, 10**6)}
            assert kept | labels == set(range(1, opened.sequence + 1))
            assert journal.backlog(opened, "events") == len(kept)
            assert replay.skew_of(opened, card_fraud.task).passed


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 99))
def test_a_busy_entity_is_served_the_same_bits(seed):
    """Beyond a thousand rows a state carries totals; late rows and corrections must keep them right."""
    random = np.random.default_rng(seed)
    rows = int(random.integers(state.BUSY, state.BUSY + 80))
    times = np.sort(random.integers(0, 20 * DAY, rows)).tolist()
    events = [payment(n, time, amount=int(random.integers(1, 9999)) / 100) for n, time in enumerate(times)]
    with tempfile.TemporaryDirectory() as folder, OnlineStore.open(Path(folder), card_fraud.task) as opened:
        opened.observe(events, replay.predict)
        opened.label([Statement(n, n % 2, "truth", 20 * DAY) for n in range(rows)])
        late = [payment(rows + n, int(time)) for n, time in enumerate(random.integers(18 * DAY, 28 * DAY, 30))]
        opened.observe(late, replay.predict)
        opened.label([Statement(int(n), 1, "truth", 28 * DAY) for n in random.integers(0, rows, 30)])
        opened.observe([payment(9000 + n, 28 * DAY + n) for n in range(5)], replay.predict)
        assert replay.skew_of(opened, card_fraud.task).passed
        assert histories.HEAD == state.HEAD
