"""Child processes that end with us: start, watch, restart, stop. No knowledge of what they run.

On Linux the kernel ends a child when its parent dies, so a killed supervisor leaves nothing behind.
"""

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_PR_SET_PDEATHSIG = 1
# A child that ends this often within a minute is broken, not unlucky.
MAX_RESTARTS_PER_MINUTE = 5


def free_port(preferred: int = 0, taken: Sequence[int] = ()) -> int:
    """A free loopback port: `preferred` or the nearest above it; any at all when `preferred` is 0."""
    for port in range(preferred, preferred + 100) if preferred else [0]:
        if port and port in taken:
            continue
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    raise OSError(f"no free port from {preferred} to {preferred + 99} on 127.0.0.1; stop what holds them")


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def start(command: Sequence[str], log: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start `command` in a process group of its own, its output appended to `log`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )


def stop(*processes: subprocess.Popen[bytes], patience: float = 20.0) -> None:
    """End `processes` and what they started: ask all, wait up to `patience` seconds for all, then kill."""
    for process in processes:
        _signal(process, signal.SIGTERM)
    deadline = time.monotonic() + patience
    for process in processes:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, deadline - time.monotonic()))
        # Also when the leader is gone: children that outlived it share its group.
        _signal(process, signal.SIGKILL)
        process.wait()


def _signal(process: subprocess.Popen[bytes], sign: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, sign)


@dataclass
class Child:
    """A process to keep running."""

    name: str
    command: Sequence[str]
    log: Path
    environment: Mapping[str, str]
    process: subprocess.Popen[bytes] | None = None
    starts: list[float] = field(default_factory=list)

    def launch(self, now: float) -> None:
        """Start it and remember when."""
        self.starts = [start for start in self.starts if now - start < 60.0] + [now]
        self.process = start(self.command, self.log, self.environment)

    @property
    def ended(self) -> int | None:
        """Its exit status when it is not running."""
        return self.process.poll() if self.process else None


def supervise(children: Sequence[Child], say: Callable[[str], None], stopping: Callable[[], bool]) -> int:
    """Keep `children` running until `stopping()`; then end them all. Returns an exit status.

    A child that ends is started again; one that keeps ending stops everything, with the place of its log.
    """
    try:
        for child in children:
            child.launch(time.monotonic())
        while not stopping():
            time.sleep(0.2)
            now = time.monotonic()
            for child in children:
                status = child.ended
                if status is None:
                    continue
                if len(child.starts) >= MAX_RESTARTS_PER_MINUTE:
                    say(f"{child.name} keeps ending (status {status}); its last words are in {child.log}")
                    return 1
                say(f"{child.name} ended with status {status}: starting it again")
                child.launch(now)
        return 0
    finally:
        stop(*(child.process for child in children if child.process is not None))
