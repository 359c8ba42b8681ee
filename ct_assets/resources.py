"""What assets ask for: the home of all state, and the place of small values handed from one asset to the next.

No logic of the loop lives here.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import msgspec

from ct_assets.lake.lake import Lake
from ct_assets.release import atomic
from ct_assets.release.registry import Registry
from ct_assets.settings import Home
from feature_defs.task import Task


class LoopHome(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The folder that holds all state (`CT_HOME`)."""

    root: str

    @property
    def home(self) -> Home:
        """The places in it."""
        return Home(Path(self.root).absolute())

    @property
    def registry(self) -> Registry:
        """The MLflow registry."""
        return Registry(self.home.mlflow_db, self.home.mlflow_artifacts)

    def lake(self, task: Task) -> Lake:
        """The Delta tables of a task."""
        return Lake(self.home.lake(task.name), task)

    def now(self, task: Task) -> datetime:
        """The present by the task's clock: the wall, or the newest arrival in the lake.

        Raises:
            dagster.Failure: nothing has arrived yet.
        """
        if task.clock == "wall":
            return datetime.now(UTC)
        newest = self.lake(task).watermark()
        if newest is None:
            raise dg.Failure(
                f"{task.name} has no events yet: put a file into {self.home.inbox(task.name) / 'events'} or start the "
                "service, then materialize events",
                allow_retries=False,
            )
        return newest


class JsonValues(dg.ConfigurableIOManager):
    """Keeps the newest value of an asset as JSON, typed by the annotation of whoever reads it. Never pickle."""

    root: str

    def _path(self, context: dg.InputContext | dg.OutputContext) -> Path:
        return Path(self.root, *context.asset_key.path).with_suffix(".json")

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        """Write `obj` so that a reader sees the old value or the new one, never a part."""
        atomic.write(self._path(context), msgspec.json.format(msgspec.json.encode(obj), indent=1))

    def load_input(self, context: dg.InputContext) -> Any:
        """The newest value.

        Raises:
            dagster.Failure: the asset was never materialized.
        """
        path = self._path(context)
        if not path.exists():
            raise dg.Failure(f"{context.asset_key.to_user_string()} has no value yet: materialize it first")
        return msgspec.json.decode(path.read_bytes(), type=context.dagster_type.typing_type)
