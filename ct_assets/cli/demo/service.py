"""The prediction service of the demo: a real process, started, watched, revived and ended by its id."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from ct_assets import instance, supervisor
from ct_assets.cli.demo.client import Client, Reply, UnreachableError
from ct_assets.release import atomic
from ct_assets.settings import Home

READY_SECONDS = 120.0
_TARGET = "bento.service:Scorer"


class ServiceError(Exception):
    """The service did not come up; the message names its log."""


class Trace(msgspec.Struct, frozen=True):
    """Which process serves, on disk, so that the next demo finds what a killed one left."""

    pid: int
    port: int


class Service:
    """`bentoml serve` on a free loopback port, and a connection to it. A context: it ends with the block."""

    def __init__(self, home: Home, task: str) -> None:
        self._home, self._task = home, task
        self._trace = home.demo / "service.json"
        self._process: subprocess.Popen[bytes] | None = None
        self._client: Client | None = None
        self.log = home.logs / "demo-service.log"

    @property
    def port(self) -> int:
        """Where it listens, on 127.0.0.1."""
        return self._connected.port

    def ensure(self) -> bool:
        """Start it unless it runs already; whether it was started now."""
        if self._process is not None:
            return False
        self.start()
        return True

    def start(self) -> None:
        """Start it and wait until it is ready; whatever an earlier demo left running is ended first.

        Raises:
            ServiceError: it ended, or was not ready in time.
        """
        end_orphan(self._trace)
        port = supervisor.free_port()
        command = [sys.executable, "-m", "bentoml", "serve", _TARGET, "--host", "127.0.0.1", "--port", str(port)]
        command += ["--working-dir", str(instance.PROJECT)]
        environment = {"CT_HOME": str(self._home.root), "CT_TASK": self._task, "PYTHONUNBUFFERED": "1"}
        # Tokens are for people who open the service to others; the demo talks to itself on loopback.
        environment["CT_TOKENS"] = ""
        self._process = supervisor.start(command, self.log, environment)
        atomic.write(self._trace, msgspec.json.encode(Trace(self._process.pid, port)))
        self._client = Client(port)
        self._await_ready()

    def revive(self) -> None:
        """After a lost connection: wait until it is ready again, starting it anew if it is gone.

        Raises:
            ServiceError: it did not come back.
        """
        if self._process is None or self._process.poll() is not None:
            self.end()
            self.start()
        else:
            # A worker that died is replaced by its own supervisor.
            self._await_ready()

    def get(self, path: str) -> Reply:
        """Ask it over HTTP; `UnreachableError` when there is no answer."""
        return self._connected.get(path)

    def post(self, path: str, body: bytes) -> Reply:
        """Tell it something over HTTP; `UnreachableError` when there is no answer."""
        return self._connected.post(path, body)

    def version(self) -> int | None:
        """The version that answers now."""
        reply = self.get("/model")
        if not reply.accepted:
            raise ServiceError(f"GET /model answered {reply.status}: {reply.body.decode(errors='replace')[:200]}")
        champion = msgspec.json.decode(reply.body)["champion"]
        return int(champion["version"]) if champion else None

    def end(self) -> None:
        """End the process and everything it started."""
        if self._client is not None:
            self._client.close()
        if self._process is not None:
            supervisor.stop(self._process)
            self._process = None
        self._trace.unlink(missing_ok=True)

    @property
    def _connected(self) -> Client:
        if self._client is None:
            raise ServiceError("the service was not started")
        return self._client

    def _await_ready(self) -> None:
        until = time.monotonic() + READY_SECONDS
        while time.monotonic() < until:
            if self._process is not None and (status := self._process.poll()) is not None:
                raise ServiceError(f"the service ended with status {status}; its last words are in {self.log}")
            try:
                if self.get("/readyz").accepted:
                    return
            except UnreachableError:
                pass
            time.sleep(0.1)
        raise ServiceError(f"the service was not ready within {READY_SECONDS:.0f} s; see {self.log}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()


def end_orphan(path: Path, patience: float = 20.0) -> bool:
    """End the service that a killed demo left behind, if the process of that id is still the one that was started.

    Where the kernel ends children with their parent there is nothing to do, or only to wait for it.
    """
    if not path.exists():
        return False
    trace = msgspec.json.decode(path.read_bytes(), type=Trace)
    path.unlink()
    ended = False
    for sign, wait in ((signal.SIGTERM, patience), (signal.SIGKILL, 5.0)):
        until = time.monotonic() + wait
        # Ids are used again: only a process with our target and our port is ours.
        while _is_ours(trace):
            if not ended or sign == signal.SIGKILL:
                os.killpg(trace.pid, sign)
                ended = True
            if time.monotonic() > until:
                break
            time.sleep(0.1)
    return ended


def _is_ours(trace: Trace) -> bool:
    words = command_line(trace.pid)
    return _TARGET in words and str(trace.port) in words


def command_line(pid: int) -> list[str]:
    """The words with which process `pid` was started; none if there is no such process."""
    proc = Path("/proc", str(pid), "cmdline")
    if Path("/proc/self/cmdline").exists():
        return proc.read_bytes().decode(errors="replace").split("\0") if proc.exists() else []
    listed = subprocess.run(["ps", "-p", str(pid), "-o", "args="], capture_output=True, text=True, check=False)
    return listed.stdout.split()
