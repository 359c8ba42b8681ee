"""kill -9 between any two commits and at any other moment: a second try ends where one try would have ended."""

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from ct_assets.lake import delivery
from ct_assets.lake.delivery import Delivery
from ct_assets.lake.lake import Lake

DYING = Path(__file__).with_name("dying.py")
COLUMNS = {"events": ["event_id", "amount"], "labels": ["event_id", "label"]}


def _start(what: str, origin: Path, lake: Lake, commits: int = -1) -> subprocess.Popen[str]:
    command = [sys.executable, str(DYING), what, str(origin), str(lake.path), str(commits)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def _history(payments: Callable[..., pl.DataFrame], path: Path, rows: int) -> pl.DataFrame:
    """Payments of which every seventh breaks a rule and every eleventh comes twice."""
    frame = payments(rows)
    frame = frame.with_columns(amount=pl.when(pl.col("transaction_id") % 7 > 0).then("amount"))
    again = frame.filter(pl.col("transaction_id") % 11 == 0)
    frame = pl.concat([frame, again]).sort("tx_time", maintain_order=True)
    frame.write_parquet(path)
    return frame


def _check(lake: Lake, frame: pl.DataFrame) -> None:
    good = frame.filter(pl.col("amount").is_not_null()).unique("transaction_id")
    bad, copies = int(frame["amount"].null_count()), len(frame) - len(good) - int(frame["amount"].null_count())
    refused = {"events": {"amount.not_null": bad}, "labels": {"unknown_event": bad}}
    for stream, names in COLUMNS.items():
        stored = lake.read(stream, columns=names).sort("event_id").collect()
        expected = good.sort("transaction_id").select(event_id="transaction_id", amount="amount", label="is_fraud")
        assert stored.equals(expected.select(names))
        assert delivery.total(lake, stream) == Delivery(len(frame), len(good), bad, copies, refused[stream])
    quarantine = lake.read("quarantine").collect()
    assert len(quarantine) == 2 * bad
    assert not quarantine.select("stream", "offset").is_duplicated().any()


@pytest.mark.slow
def test_dying_between_any_two_commits_loses_and_doubles_nothing(
    tmp_path: Path, lake: Lake, payments: Callable[..., pl.DataFrame]
) -> None:
    path = tmp_path / "history.parquet"
    frame = _history(payments, path, 70)
    deaths = 0
    # Each life makes one commit and dies before the next, so every gap between two commits is hit in turn.
    while _start("file", path, lake, 1).wait() == -signal.SIGKILL:
        deaths += 1
    assert deaths >= 11
    _check(lake, frame)


@pytest.mark.slow
def test_dying_at_random_moments_loses_and_doubles_nothing(
    tmp_path: Path, lake: Lake, payments: Callable[..., pl.DataFrame]
) -> None:
    path = tmp_path / "history.parquet"
    frame = _history(payments, path, 1_200)
    moments = random.Random(0)
    for _ in range(5):
        process = _start("file", path, lake)
        time.sleep(moments.uniform(0.05, 0.6))
        process.kill()
        process.wait()
    assert _start("file", path, lake).wait() == 0
    _check(lake, frame)
