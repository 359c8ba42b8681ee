"""The BentoML service: `bentoml serve bento.service:Scorer`. HTTP and the life of a worker, nothing else.

Requests are answered in `endpoints`; how to serve is in `configuration`.
"""

import asyncio
import logging
import os
import signal
from typing import Any

from ct_assets import telemetry

telemetry.off()

import bentoml  # noqa: E402 not before its reporting is off
import click  # noqa: E402
from _bentoml_sdk import Service  # type: ignore[import-untyped] # noqa: E402

from bento import configuration, packaged  # noqa: E402
from bento.desk import Desk  # noqa: E402
from bento.endpoints import Application, Endpoints  # noqa: E402

PACKAGED = packaged.read()
CONFIGURATION = configuration.read(PACKAGED.task if PACKAGED else None)
DESK = Desk(CONFIGURATION)


class Worker:
    """Scores events as they happen, with features as of now, and journals every answer."""

    if PACKAGED is not None:
        model = bentoml.models.BentoModel(PACKAGED.model)

    @bentoml.on_deployment  # type: ignore[untyped-decorator]
    @staticmethod
    def refuse_strangers() -> None:
        """End the start of a server that would listen beyond loopback while no token protects it."""
        context = click.get_current_context(silent=True)
        host = (context.params.get("host") if context else None) or os.environ.get("BENTOML_HOST") or "127.0.0.1"
        if host not in configuration.LOOPBACK and not CONFIGURATION.tokens:
            raise SystemExit(
                f"Refusing to listen on {host} without tokens: set CT_TOKENS to pairs scope:sha256, "
                f"with scope one of {', '.join(configuration.SCOPES)}, or serve on 127.0.0.1"
            )

    @bentoml.on_startup  # type: ignore[untyped-decorator]
    async def start(self) -> None:
        """Open store and plan before the first request."""
        # Uvicorn would write a line per request to a log that nobody reads.
        logging.getLogger("uvicorn.access").disabled = True
        if PACKAGED is not None:
            DESK.slots.packaged = packaged.folder(self.model)
        DESK.open()
        self._tasks = [asyncio.create_task(DESK.watch()), asyncio.create_task(_follow(os.getppid()))]

    @bentoml.on_shutdown  # type: ignore[untyped-decorator]
    async def stop(self) -> None:
        """Requests in flight are answered by now."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        DESK.close()


async def _follow(supervisor: int) -> None:
    """End this worker when its supervisor was killed: nobody would restart, stop or find it."""
    while os.getppid() == supervisor:
        await asyncio.sleep(CONFIGURATION.plan_seconds)
    os.kill(os.getpid(), signal.SIGTERM)


class FrontedService(Service[Worker]):  # type: ignore[misc]
    """A BentoML service whose paths are answered in front of BentoML's middleware.

    Behind it, every request would pass tracing, a task and a timer of its own: see docs/decisions/serving-path.md.
    """

    def to_asgi(self, is_main: bool = True) -> Application:
        """The application of a worker."""
        return Endpoints(DESK, super().to_asgi(is_main))


_options: dict[str, Any] = {
    "http": {"host": "127.0.0.1", "port": 3000},
    "workers": 1,
    "tracing": {"excluded_urls": [".*"]},
    "logging": {"access": {"enabled": False}},
}

Scorer = FrontedService(name=CONFIGURATION.name, config=_options, inner=Worker)
