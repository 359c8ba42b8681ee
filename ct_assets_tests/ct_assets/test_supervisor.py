"""Children that are kept running, end together, and do not outlive whoever started them."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from ct_assets.supervisor import MAX_RESTARTS_PER_MINUTE, Child, free_port, start, stop, supervise

SLEEPER = [sys.executable, "-c", "import time; time.sleep(60)"]
# Ignores being asked, and has a child of its own.
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']).pid, flush=True); time.sleep(60)",
]


def until(condition, seconds: float = 20.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False


def test_a_child_that_ends_is_started_again(tmp_path: Path) -> None:
    child = Child("sleeper", SLEEPER, tmp_path / "log", {})
    said: list[str] = []

    def stopping() -> bool:
        if len(child.starts) == 1:
            os.kill(child.process.pid, signal.SIGKILL)
        return len(child.starts) == 2

    assert supervise([child], said.append, stopping) == 0
    assert said == ["sleeper ended with status -9: starting it again"]
    assert child.ended is not None


def test_a_child_that_keeps_ending_stops_everything_and_names_its_log(tmp_path: Path) -> None:
    broken = Child("broken", [sys.executable, "-c", "raise SystemExit(3)"], tmp_path / "log", {})
    sound = Child("sound", SLEEPER, tmp_path / "other", {})
    said: list[str] = []
    assert supervise([sound, broken], said.append, lambda: False) == 1
    assert len(broken.starts) == MAX_RESTARTS_PER_MINUTE
    assert str(tmp_path / "log") in said[-1]
    assert sound.ended is not None


def test_what_ignores_a_request_is_killed_with_its_children(tmp_path: Path) -> None:
    process = start(STUBBORN, tmp_path / "log", {})
    assert until(lambda: (tmp_path / "log").read_text().endswith("\n"))
    grandchild = int((tmp_path / "log").read_text())
    stop(process, patience=0.5)
    assert process.returncode == -signal.SIGKILL
    assert until(lambda: not psutil.pid_exists(grandchild) or psutil.Process(grandchild).status() == "zombie")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
def test_children_end_with_a_killed_supervisor(tmp_path: Path) -> None:
    program = (
        "import pathlib, sys\n"
        "from ct_assets.supervisor import Child, supervise\n"
        f"child = Child('sleeper', {SLEEPER!r}, pathlib.Path({str(tmp_path / 'log')!r}), {{}})\n"
        "def stopping():\n"
        "    print(child.process.pid, flush=True)\n"
        "supervise([child], print, stopping)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    assert until(lambda: not psutil.pid_exists(child) or psutil.Process(child).status() == "zombie")


def test_a_taken_port_is_passed_over() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert free_port(port) != port
    assert free_port(port, taken=[port]) != port
