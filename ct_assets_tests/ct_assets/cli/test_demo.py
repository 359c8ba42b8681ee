"""The demo as people start it: whole, and again after its processes were killed at random moments."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2_400), pytest.mark.xdist_group("demo")]

COMMAND = [sys.executable, "-c", "from ct_assets.cli.main import app; app()", "demo", "--days", "5", "--seed", "1"]
KILLS = 5


def _start(home: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "CT_HOME": str(home)}
    return subprocess.Popen(
        COMMAND, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def _finish(process: subprocess.Popen[str], home: Path) -> dict[str, Any]:
    told, _ = process.communicate()
    assert process.returncode == 0, told
    summary: dict[str, Any] = json.loads((home / "demo" / "summary.json").read_text())
    return summary


def _without_time(summary: dict[str, Any]) -> dict[str, Any]:
    served = {name: summary["served"][name] for name in ("requests", "failed")}
    return {**summary, "served": served, "seconds": None}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    home = tmp_path_factory.mktemp("whole") / "home"
    return _finish(_start(home), home)


def test_the_summary_has_its_shape_and_the_promises_in_numbers(whole: dict[str, Any]) -> None:
    assert list(whole) == [
        *("task", "source", "events", "labels", "served", "skew", "versions", "champion", "seconds"),
    ]
    events = whole["events"]
    assert events["offered"] == events["stored"] + events["quarantined"] + events["duplicates"]
    assert min(events.values()) > 0
    assert whole["labels"]["stored"] >= whole["labels"]["mature"] > 10_000
    assert whole["served"]["requests"] > 10_000
    assert whole["served"]["failed"] == 0
    assert 0 < whole["served"]["p50_ms"] <= whole["served"]["p99_ms"]
    assert whole["skew"]["compared"] >= 20_000
    assert whole["skew"]["mismatched"] == 0
    assert [row["decision"] for row in whole["versions"]] == ["promoted", "promoted", "refused"]
    first, second, shuffled = whole["versions"]
    assert second["trigger"] == "volume"
    assert second["average_precision"] > second["champion_average_precision"]
    assert shuffled["verdicts"]["quality"] == "fail"
    assert whole["champion"] == second["version"]
    assert first["window"][0] < second["window"][0]
    assert whole["seconds"]["total"] > 0


def _victims(demo: subprocess.Popen[str]) -> list[psutil.Process]:
    """The demo, the service's supervisor and its workers, as far as they run."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return [psutil.Process(demo.pid), *psutil.Process(demo.pid).children(recursive=True)]
    return []


def test_killed_at_five_random_moments_it_ends_where_an_uninterrupted_one_does(
    whole: dict[str, Any], tmp_path: Path
) -> None:
    home = tmp_path / "home"
    chance = random.Random(7)
    longest = whole["seconds"]["total"] / KILLS * 1.5
    demo = _start(home)
    for _ in range(KILLS):
        until = time.monotonic() + chance.uniform(3.0, longest)
        while time.monotonic() < until and demo.poll() is None:
            time.sleep(0.05)
        if demo.poll() is not None:
            break
        # The demo itself most of the time; else whatever it started.
        victims = _victims(demo)
        victim = victims[0] if chance.random() < 0.6 else chance.choice(victims)
        with contextlib.suppress(psutil.NoSuchProcess):
            victim.send_signal(signal.SIGKILL)
        if victim.pid == demo.pid:
            demo.communicate()
            demo = _start(home)
    assert _without_time(_finish(demo, home)) == _without_time(whole)
