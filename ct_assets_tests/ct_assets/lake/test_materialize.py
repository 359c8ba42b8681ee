"""Derived tables brought up to date step by step equal those made at once, and only stale days are written."""

import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from ct_assets.lake import ingest, materialize
from ct_assets.lake.labels import labeled_events
from ct_assets.lake.lake import Lake
from ct_assets.lake.materialize import Materialized
from feature_defs.card_fraud import task
from feature_defs.engine import offline

DYING = Path(__file__).with_name("dying.py")
START = datetime(2018, 4, 1, tzinfo=UTC)
Payments = Callable[..., pl.DataFrame]


def _deliver(lake: Lake, frame: pl.DataFrame, name: str, *streams: str) -> None:
    for stream in streams or ("events", "labels"):
        ingest.deliver(lake, stream, frame, name, run_id="test")  # type: ignore[arg-type]


def _both(lake: Lake, day: float) -> tuple[Materialized, Materialized]:
    as_of = START + timedelta(days=day)
    return materialize.labeled(lake, as_of), materialize.features(lake, as_of)


def _days(*numbers: int) -> tuple[date, ...]:
    return tuple((START + timedelta(days=number)).date() for number in numbers)


def _check(lake: Lake, day: float) -> None:
    """Both tables against one computation over all rows of the lake, without windows of days or increments."""
    as_of = START + timedelta(days=day)
    events = lake.read("events", as_of=as_of).sort("event_time", "event_id").collect()
    labels = lake.read("labels", as_of=as_of).collect()
    known = labeled_events(task, events, labels, as_of).drop("as_of", "source", "offset")
    stored = lake.read("labeled_events").sort("event_time", "event_id").collect()
    assert_frame_equal(stored.select(known.columns), known)
    vectors = offline.compute(task, events, events, labels)
    stored = lake.read("features").sort("event_time", "event_id").collect()
    assert_frame_equal(stored.select(vectors.columns), vectors, check_exact=True)
    assert stored["feature_hash"].unique().to_list() in ([], [task.feature_hash])


def test_the_first_time_every_day_that_had_arrived_is_written(lake: Lake, payments: Payments) -> None:
    _deliver(lake, payments(400), "history")
    done = _both(lake, 50)
    assert [one.rows for one in done] == [lake.read("events", as_of=START + timedelta(days=50)).collect().height] * 2
    assert max(done[1].dates) == _days(49)[0]
    _check(lake, 50)
    assert [one.dates for one in _both(lake, 50)] == [(), ()]


def test_a_later_cut_off_writes_new_days_heard_days_and_matured_days(lake: Lake, payments: Payments) -> None:
    _deliver(lake, payments(400), "history")
    _both(lake, 50)
    untouched = _files(lake, "features", below=_days(50)[0])
    labeled, features = _both(lake, 51)
    # Labels of the file are known at the horizon, so the days that mature are the days that are heard of.
    assert labeled.dates == _days(43, 44, 50)
    assert features.dates == _days(50)
    assert untouched <= _files(lake, "features")
    _check(lake, 51)


def test_a_late_label_writes_its_day_of_labels_and_no_vector(lake: Lake, payments: Payments) -> None:
    frame = payments(400)
    _deliver(lake, frame, "history")
    _both(lake, 60)
    correction = frame[:1].select(
        event_id="transaction_id", label=1 - pl.col("is_fraud"), available_at=pl.lit(START + timedelta(days=59.9))
    )
    _deliver(lake, correction, "corrections", "labels")
    labeled, features = _both(lake, 60)
    assert (labeled.dates, features.dates) == (_days(0), ())
    _check(lake, 60)


def test_history_that_comes_in_late_corrects_the_vectors_that_should_have_counted_it(
    lake: Lake, payments: Payments
) -> None:
    frame = payments(600)
    first_week = frame["tx_time"] < START + timedelta(days=7)
    _deliver(lake, frame.filter(~first_week), "later")
    _both(lake, 60)
    _deliver(lake, frame.filter(first_week), "earlier", "events")
    _, features = _both(lake, 60)
    # Counts of 30 days reach from the first day to the 37th, and no further.
    assert max(features.dates) == _days(37)[0]
    assert min(features.dates) == _days(0)[0]
    _check(lake, 60)
    _deliver(lake, frame.filter(first_week), "earlier", "labels")
    _, features = _both(lake, 60)
    assert (min(features.dates), max(features.dates)) == (_days(7)[0], _days(44)[0])
    _check(lake, 60)


steps = st.lists(st.tuples(st.integers(0, 7), st.sampled_from(["events", "labels"]), st.integers(0, 12)), max_size=8)


@settings(max_examples=8, deadline=None)
@given(steps, st.integers(20, 400))
def test_step_by_step_equals_all_at_once(payments: Payments, steps: list[tuple[int, str, int]], chunk: int) -> None:
    """Pieces of a history in any order, with cut-offs in between, and chunks of any size."""
    frame = payments(240, days=40)
    whole, materialize.CHUNK_ROWS = materialize.CHUNK_ROWS, chunk
    try:
        with TemporaryDirectory() as folder:
            lake, day = Lake(Path(folder), task), 20
            for piece, stream, later in steps:
                _deliver(lake, frame[piece * 30 : piece * 30 + 30], f"piece {piece}", stream)
                day += later
                _both(lake, day)
            _check(lake, day)
    finally:
        materialize.CHUNK_ROWS = whole


def test_a_cut_off_never_moves_back(lake: Lake, payments: Payments) -> None:
    _deliver(lake, payments(50), "history")
    _both(lake, 30)
    with pytest.raises(ValueError, match=r"labeled_events of card_fraud stands at 2018-05-01 .* never moves back"):
        materialize.labeled(lake, START)
    with pytest.raises(ValueError, match="never moves back"):
        materialize.features(lake, START)


def test_nothing_to_do_is_done_without_a_lake(lake: Lake) -> None:
    assert [one.dates for one in _both(lake, 3)] == [(), ()]


def test_two_runs_at_once_leave_what_one_leaves(
    lake: Lake, payments: Payments, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(materialize, "CHUNK_ROWS", 100)
    _deliver(lake, payments(300), "history")
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: materialize.features(lake, START + timedelta(days=60)), range(2)))
        list(pool.map(lambda _: materialize.labeled(lake, START + timedelta(days=60)), range(2)))
    _check(lake, 60)


def test_compaction_makes_no_day_stale(lake: Lake, payments: Payments) -> None:
    frame = payments(200)
    for number in range(4):
        _deliver(lake, frame[number * 50 : number * 50 + 50], f"piece {number}")
    _both(lake, 70)
    for table in ("events", "labels"):
        lake.snapshot(table).delta.optimize.compact()
    assert [one.dates for one in _both(lake, 70)] == [(), ()]


def test_rows_written_without_a_note_make_every_day_stale(lake: Lake, payments: Payments) -> None:
    _deliver(lake, payments(50), "history")
    _both(lake, 70)
    extra = lake.read("events").limit(1).collect().with_columns(event_id=pl.lit(999))
    lake.append("events", extra, "by hand", 1)
    labeled, features = _both(lake, 70)
    assert labeled.rows == features.rows == 51
    _check(lake, 70)


@pytest.mark.slow
def test_a_run_killed_between_days_is_finished_by_the_next(tmp_path: Path, lake: Lake, payments: Payments) -> None:
    _deliver(lake, payments(200, days=20), "history")
    # Six chunks of either table: two lives end in the first one, two in the second.
    for commits in (2, 4, 8, 3):
        command = [sys.executable, str(DYING), "derive", str(lake.path), str(lake.path), str(commits)]
        assert subprocess.run(command, check=False, stdout=subprocess.DEVNULL).returncode == -signal.SIGKILL
    now = lake.watermark()
    assert now is not None
    materialize.labeled(lake, now)
    materialize.features(lake, now)
    _check(lake, (now - START) / timedelta(days=1))


def _files(lake: Lake, table: str, below: date | None = None) -> set[str]:
    files = set(lake.snapshot(table).delta.file_uris())
    return {file for file in files if below is None or file.split("event_date=")[1][:10] < below.isoformat()}
