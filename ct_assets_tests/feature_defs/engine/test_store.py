"""What every online store must do. A new store adds its opener to `STORES` and passes the same suite."""

import numpy as np
import polars as pl
import pytest

from ct_assets_tests.feature_defs.engine import replay, worlds
from ct_assets_tests.feature_defs.engine.replay import DAY, payment
from feature_defs import card_fraud
from feature_defs.engine import journal, offline
from feature_defs.engine.online import OnlineStore
from feature_defs.engine.records import Event, Scored, Statement

STORES = {"lmdb": OnlineStore.open}


@pytest.fixture(params=STORES)
def store(request, tmp_path):
    opened = STORES[request.param](tmp_path / "store", card_fraud.task)
    yield opened
    opened.close()


def test_arrivals_increase_strictly_by_the_watermark(store):
    answers = store.observe([payment(1, 50), payment(2, 50), payment(3, 40), payment(4, 90)], replay.predict)
    assert [answer.available_at_us for answer in answers] == [50, 51, 52, 90]
    assert [answer.sequence for answer in answers] == [1, 2, 3, 4]
    receipt = store.label([Statement(1, 1, "truth", 20)])[0]
    assert (receipt.sequence, receipt.available_at_us) == (5, 91)
    assert (store.sequence, store.watermark) == (5, 91)


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
