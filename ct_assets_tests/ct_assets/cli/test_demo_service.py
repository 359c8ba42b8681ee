"""What a killed demo leaves running is ended; what only looks like it is left alone."""

import subprocess
import sys
import time
from pathlib import Path

import msgspec

from ct_assets.cli.demo.service import Trace, command_line, end_orphan

SLEEP = "import time; time.sleep(60)"


def _trace(path: Path, pid: int, port: int) -> Path:
    path.write_bytes(msgspec.json.encode(Trace(pid, port)))
    return path


def test_an_orphan_is_ended(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SLEEP, "bento.service:Scorer", "--port", "41234"]
    with subprocess.Popen(command, start_new_session=True) as orphan:
        # Between fork and exec a process has no words yet.
        while not any(command_line(orphan.pid)):
            time.sleep(0.01)
        assert "41234" in command_line(orphan.pid)
        trace = _trace(tmp_path / "service.json", orphan.pid, 41234)
        # The test is the orphan's parent, so it must be waited for to be gone.
        assert end_orphan(trace, patience=0.2)
        assert orphan.wait(10) != 0
    assert not trace.exists()


def test_a_process_that_took_over_the_id_is_left_alone(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", SLEEP], start_new_session=True) as stranger:
        assert not end_orphan(_trace(tmp_path / "service.json", stranger.pid, 41234))
        assert stranger.poll() is None
        stranger.kill()


def test_nothing_is_done_when_nothing_was_left(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "pass"]) as gone:
        gone.wait()
    assert not end_orphan(tmp_path / "service.json")
    assert not end_orphan(_trace(tmp_path / "service.json", gone.pid, 41234))
