"""The real service as real processes: started, found, killed and stopped."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil

from ct_assets.settings import Home

PROJECT = Path(__file__).parents[2]
COMMAND = (sys.executable, "-m", "bentoml", "serve")


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """`bentoml serve` of `target`, a supervisor with one worker."""

    def __init__(self, home: Home, target: str = "bento.service:Scorer", folder: Path = PROJECT, **environment: str):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = home.root / "service.log"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        fixed = {"CT_HOME": str(home.root), "BENTOML_HOME": str(home.bentoml), "CT_PLAN_SECONDS": "0.1"}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*COMMAND, target, "--port", str(self.port), "--working-dir", str(folder)],
                cwd=folder,
                env=os.environ | fixed | environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def __enter__(self) -> "Server":
        self.wait()
        return self

    def __exit__(self, *_: object) -> None:
        # The supervisor gives every worker a session of its own.
        workers = self._children()
        self.process.kill()
        self.process.wait()
        for worker in workers:
            worker.kill()

    def wait(self, seconds: float = 180) -> None:
        """Until it is ready."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.log.read_text()
            try:
                if httpx.get(f"{self.url}/readyz", timeout=5).status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.1)
        raise AssertionError(f"not ready after {seconds} s:\n{self.log.read_text()}")

    def worker(self) -> psutil.Process:
        """The process that answers."""
        [found] = [child for child in self._children() if "_bentoml_impl.worker.service" in child.cmdline()]
        return found

    def _children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)
