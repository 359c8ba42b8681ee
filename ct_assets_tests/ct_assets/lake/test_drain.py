"""The journal of a real online store into the lake: exactly once, whoever else drains and whoever dies."""

import random
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ct_assets.lake import delivery, drain
from ct_assets.lake.delivery import Delivery
from ct_assets.lake.lake import Lake
from feature_defs.card_fraud import task
from feature_defs.engine import journal
from feature_defs.engine.online import OnlineStore
from feature_defs.engine.records import Event, Scored, Statement

DYING = Path(__file__).with_name("dying.py")
START = int(datetime(2018, 4, 1, tzinfo=UTC).timestamp()) * 1_000_000
KINDS = ("events", "labels", "predictions")
DAY = 86_400_000_000


def _scores(vectors: np.ndarray) -> list[Scored]:
    return [Scored(score=0.25, decision=False, version=3) for _ in vectors]


def _event(number: int) -> Event:
    values = {"customer_id": number % 5, "terminal_id": number % 3, "amount": number + 0.5}
    return Event(number, START + number * DAY // 100, values)


def _serve(store: OnlineStore, first: int, last: int) -> None:
    """Answers events, labels every second one, and states a label for one that never was."""
    for number in range(first, last):
        event = _event(number)
        store.observe([event], _scores)
        if number % 2 == 0:
            store.label([Statement(number, number % 4 // 2, "truth", event.event_time_us)])
    store.label([Statement(10_000 + last, 1, "truth", START)])


def _drain(lake: Lake, path: Path) -> dict[str, Delivery]:
    return {kind: drain.drain(lake, path, kind, run_id="test") for kind in KINDS}


def _check(lake: Lake, path: Path, events: int, unknown: int) -> None:
    """All of the journal is in the lake once, and none of it is left."""
    labels = (events + 1) // 2
    stored = {kind: lake.read(kind).collect() for kind in KINDS}
    assert stored["events"]["event_id"].sort().to_list() == list(range(events))
    assert stored["labels"]["event_id"].sort().to_list() == list(range(0, events, 2))
    assert stored["predictions"]["event_id"].sort().to_list() == list(range(events))
    assert stored["predictions"]["prediction_id"].n_unique() == events
    assert delivery.total(lake, "events") == Delivery(events, events)
    assert delivery.total(lake, "predictions") == Delivery(events, events)
    assert delivery.total(lake, "labels") == Delivery(
        labels + unknown, labels, unknown, reasons={"unknown_event": unknown}
    )
    assert [journal.backlog(path, kind) for kind in KINDS] == [0, 0, 0]


def test_what_was_served_is_in_the_lake_once_and_the_journal_is_empty(lake: Lake, tmp_path: Path) -> None:
    path = tmp_path / "store"
    with OnlineStore.open(path, task) as store:
        _serve(store, 0, 30)
        vectors = {record.event_id: record.vector for record in journal.read(store, "predictions")}
        arrivals = {record.event_id: record.available_at for record in journal.read(store, "events")}
        accounts = _drain(lake, path)
        assert accounts["predictions"] == Delivery(30, stored=30)
        _check(lake, path, 30, 1)
        _serve(store, 30, 40)
    assert _drain(lake, path)["events"] == Delivery(10, stored=10)
    _check(lake, path, 40, 2)
    assert _drain(lake, path) == dict.fromkeys(KINDS, Delivery())
    predictions = lake.read("predictions", where=pl.col("event_id") < 30).collect()
    for row in predictions.iter_rows(named=True):
        served = [float("nan") if row[name] is None else row[name] for name in task.feature_names]
        assert np.array(served, dtype=np.float64).tobytes() == np.array(vectors[row["event_id"]]).tobytes()
    events = lake.read("events", where=pl.col("event_id") < 30).collect()
    micros = dict(events.select("event_id", pl.col("available_at").dt.epoch("us")).iter_rows())
    assert micros == arrivals
    assert predictions["version"].unique().to_list() == [3]


def test_labels_bring_the_events_that_they_speak_of(lake: Lake, tmp_path: Path) -> None:
    path = tmp_path / "store"
    with OnlineStore.open(path, task) as store:
        _serve(store, 0, 10)
    account = drain.drain(lake, path, "labels", run_id="test")
    assert account == Delivery(6, stored=5, quarantined=1, reasons={"unknown_event": 1})
    assert lake.read("events").select(pl.len()).collect().item() == 10


def test_a_drain_that_died_before_it_trimmed_is_finished_by_the_next(lake: Lake, tmp_path: Path) -> None:
    path = tmp_path / "store"
    with OnlineStore.open(path, task) as store:
        _serve(store, 0, 10)
        records = journal.read(store, "events")
        drain.drain(lake, path, "events", run_id="test")
        # As if the trim had never happened.
        store.environment.write(
            lambda txn: [
                journal.append(txn, {"events": store.environment.database("journal.events")}, record)
                for record in records
            ]
        )
        assert journal.backlog(store, "events") == 10
    assert drain.drain(lake, path, "events", run_id="test") == Delivery()
    assert journal.backlog(path, "events") == 0
    assert lake.read("events").select(pl.len()).collect().item() == 10


def test_nothing_is_drained_where_there_is_no_store(lake: Lake, tmp_path: Path) -> None:
    assert drain.drain(lake, tmp_path / "nowhere", "events", run_id="test") == Delivery()
    assert not (tmp_path / "nowhere").exists()


def _start(lake: Lake, path: Path, commits: int = -1) -> subprocess.Popen[str]:
    command = [sys.executable, str(DYING), "drain", str(path), str(lake.path), str(commits)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.slow
def test_two_drains_at_once_while_events_come_in_move_each_record_once(lake: Lake, tmp_path: Path) -> None:
    path = tmp_path / "store"
    with OnlineStore.open(path, task) as store:
        _serve(store, 0, 400)
        drains = [_start(lake, path), _start(lake, path)]
        _serve(store, 400, 500)
        assert [process.wait() for process in drains] == [0, 0]
    _drain(lake, path)
    _check(lake, path, 500, 2)


@pytest.mark.slow
def test_drains_killed_at_any_moment_lose_and_double_nothing(lake: Lake, tmp_path: Path) -> None:
    path = tmp_path / "store"
    with OnlineStore.open(path, task) as store:
        _serve(store, 0, 300)
    for commits in (1, 2, 3, 4):
        assert _start(lake, path, commits).wait() == -signal.SIGKILL
    moments = random.Random(0)
    for _ in range(4):
        process = _start(lake, path)
        time.sleep(moments.uniform(0.05, 0.5))
        process.kill()
        process.wait()
    _drain(lake, path)
    _check(lake, path, 300, 1)
