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
from feature_defs import card_fraud
from feature_defs.columns import Text
from feature_defs.engine import journal, offline
from feature_defs.engine.online import OnlineStore
from feature_defs.engine.records import Event, Scored, Statement

TASK = worlds.make_task()
TEXT_TASK = worlds.make_task(key_type=Text())
DAY = 86400 * 10**6


def payment(number, time=0, customer=1, terminal=1, amount=10.0):
    return Event(number, time, {"customer_id": customer, "terminal_id": terminal, "amount": amount})


@pytest.fixture
def store(tmp_path):
    with OnlineStore.open(tmp_path / "store", card_fraud.task) as opened:
        yield opened


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


def test_arrivals_increase_strictly_by_the_watermark(store):
    answers = store.observe([payment(1, 50), payment(2, 50), payment(3, 40), payment(4, 90)], replay.predict)
    assert [answer.available_at_us for answer in answers] == [50, 51, 52, 90]
    assert [answer.sequence for answer in answers] == [1, 2, 3, 4]
    receipt = store.label([Statement(1, 1, "truth", 20)])[0]
    assert (receipt.sequence, receipt.available_at_us) == (5, 91)
    assert (store.sequence, store.watermark) == (5, 91)


def test_the_wall_clock_is_used_when_the_task_says_so(tmp_path):
    with OnlineStore.open(tmp_path, worlds.make_task(clock="wall")) as opened:
        event = Event(1, 5, {})
        assert opened.observe([event], replay.predict, now_us=1000)[0].available_at_us == 1000
        with pytest.raises(ValueError, match="now_us"):
            opened.observe([Event(2, 5, {})], replay.predict)


def test_a_repeated_event_gets_its_first_answer_and_changes_nothing(store):
    first = store.observe([payment(1, 10), payment(2, DAY // 2)], replay.predict)
    again = store.observe([payment(1, 10), payment(1, 10, amount=99.0), payment(2, DAY // 2)], replay.predict)
    assert [answer.repeated for answer in again] == [True, True, True]
    assert again[0].prediction_id == first[0].prediction_id
    assert again[2].vector == pytest.approx(first[1].vector, nan_ok=True)
    assert journal.backlog(store, "events") == journal.backlog(store, "predictions") == 2
    assert store.vector(payment(3, DAY // 2 + 1))[3] == 2
    both = store.observe([payment(7, DAY), payment(7, DAY)], replay.predict)
    assert [answer.repeated for answer in both] == [False, True]
    assert journal.backlog(store, "events") == 3


def test_nothing_happens_when_the_model_fails(store):
    def fail(matrix):
        raise RuntimeError("no model")

    with pytest.raises(RuntimeError, match="no model"):
        store.observe([payment(1, 10)], fail)
    assert (store.sequence, store.watermark, journal.backlog(store, "events")) == (0, 0, 0)
    assert store.vector(payment(2, 20))[3] == 0
    assert not store.observe([payment(1, 10)], replay.predict)[0].repeated


def test_a_corrected_label_replaces_the_first(store):
    store.observe([payment(1, 0)], replay.predict)
    later = payment(2, 8 * DAY - 1)
    name = card_fraud.task.feature_names.index
    assert store.vector(later)[name("terminal_fraud_count_7d")] == 0
    assert store.label([Statement(1, 1, "truth", 7 * DAY)])[0].accepted
    assert store.vector(later)[name("terminal_fraud_mean_7d")] == 1.0
    store.label([Statement(1, 0, "truth", 7 * DAY + 5), Statement(1, 1, "proxy", 7 * DAY + 6)])
    assert store.vector(later)[name("terminal_fraud_mean_7d")] == 0.0
    assert store.vector(later)[name("terminal_fraud_count_7d")] == 1


def test_a_label_of_an_unknown_event_is_kept_but_has_no_effect(store):
    assert not store.label([Statement(5, 1, "truth", 10)])[0].accepted
    assert not store.label([Statement("five", 1, "truth", 10)])[0].accepted
    assert [record.accepted for record in journal.read(store, "labels")] == [False, False]


def test_a_statement_said_twice_under_one_name_is_said_once(store):
    store.observe([payment(1, 0)], replay.predict)
    said = Statement(1, 1, "truth", 10, statement_id="chargeback-1")
    first, again = store.label([said])[0], store.label([said])[0]
    assert not first.repeated
    assert again.repeated
    assert again.sequence == first.sequence
    assert journal.backlog(store, "labels") == 1


def test_rows_leave_when_no_window_can_reach_them_and_a_request_that_needs_them_is_refused(store):
    for day in range(0, 100, 2):
        store.observe([payment(day, day * DAY)], replay.predict)
    assert replay.skew_of(store, card_fraud.task).passed
    assert not np.isnan(store.vector(payment(1001, 92 * DAY))).all()
    with pytest.raises(ValueError, match="lateness"):
        store.observe([payment(1000, 60 * DAY)], replay.predict)
    assert journal.backlog(store, "events") == 50


def test_amounts_are_rounded_once_where_they_come_in(store):
    store.observe([payment(1, 10, amount=0.125), payment(2, 11, amount=2.675)], replay.predict)
    assert [record.values["amount"] for record in journal.read(store, "events")] == [0.12, 2.68]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"customer_id": 1, "terminal_id": 1}, "amount is missing"),
        ({"customer_id": "1", "terminal_id": 1, "amount": 1.0}, "customer_id"),
        ({"customer_id": 1, "terminal_id": 1.5, "amount": 1.0}, "terminal_id"),
    ],
)
def test_a_request_that_does_not_fit_the_stream_is_named(store, values, message):
    with pytest.raises(ValueError, match=f"event 1: {message}"):
        store.observe([Event(1, 0, values)], replay.predict)


def test_an_edited_definition_needs_its_own_bootstrap(tmp_path):
    with OnlineStore.open(tmp_path, card_fraud.task) as opened:
        opened.observe([payment(1, 0)], replay.predict)
    with OnlineStore.open(tmp_path, TASK) as other, pytest.raises(ValueError, match="bootstrap"):
        other.vector(Event(1, 0, {}))


def test_the_environment_grows_by_itself_in_every_process(tmp_path):
    with OnlineStore.open(tmp_path, card_fraud.task, map_size=2**20) as opened:
        script = (
            "import sys; from pathlib import Path; from ct_assets_tests.feature_defs.engine import replay, test_online;"
            "from feature_defs import card_fraud; from feature_defs.engine.online import OnlineStore;"
            "store = OnlineStore.open(Path(sys.argv[1]), card_fraud.task, map_size=2**20);"
            "[store.observe([test_online.payment(n, n) for n in range(b, b + 100)], replay.predict)"
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


def test_the_journal_is_read_in_order_and_trimmed_to_a_point(store):
    store.observe([payment(n, n) for n in range(1, 8)], replay.predict)
    assert [record.sequence for record in journal.read(store, "events", after=2, limit=3)] == [3, 4, 5]
    assert journal.trim(store, "events", 4) == 4
    assert [record.sequence for record in journal.read(store.environment.path, "events")] == [5, 6, 7]
    assert (journal.last(store, "events"), journal.backlog(store, "predictions")) == (7, 7)
    with pytest.raises(ValueError, match="predictions"):
        journal.read(store, "scores")


def test_scores_come_back_with_their_version(store):
    made = store.observe([payment(1, 0)], lambda matrix: [Scored(0.75, True, 4, "canary", False)])[0]
    assert (made.score, made.decision, made.version, made.role) == (0.75, True, 4, "canary")
    record = journal.read(store, "predictions")[0]
    assert (record.prediction_id, record.exposed) == (f"{store.store_id[:8]}-1", False)
    assert record.feature_hash == card_fraud.task.feature_hash


def test_offline_answers_what_the_store_would(store):
    store.observe([payment(n, n * DAY) for n in range(1, 30)], replay.predict)
    asked = payment(50, 30 * DAY)
    frame = replay.events_of(card_fraud.task, journal.read(store, "events"))
    request = frame[:1].with_columns(event_id=pl.lit(50), event_time=pl.lit(30 * DAY).cast(worlds.INSTANT))
    request = request.with_columns(available_at="event_time", amount=pl.lit(10.0))
    again = offline.compute(card_fraud.task, request, frame, worlds.label_frame(card_fraud.task, []))
    expected = np.array(again.drop("event_id").cast(pl.Float64).fill_null(np.nan).row(0))
    assert np.array_equal(store.vector(asked).view(np.uint64), expected.view(np.uint64))
