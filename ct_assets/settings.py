"""Where state lives: everything the loop keeps is under one folder, `CT_HOME` (default `.ct`)."""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Home:
    """The folder that holds all state, and the places in it. Paths only: nothing is created by asking."""

    root: Path

    def lake(self, task: str) -> Path:
        """Delta tables of a task."""
        return self.root / "lake" / task

    def store(self, task: str) -> Path:
        """Online store of a task: feature state, served answers and journal in one LMDB environment."""
        return self.root / "store" / task

    def inbox(self, task: str) -> Path:
        """Files dropped here are taken in by the next ingest: `events/` and `labels/` below it."""
        return self.root / "inbox" / task

    def serving(self, task: str) -> Path:
        """The serving plan of a task and the model files it points at."""
        return self.root / "serving" / task

    def docs(self, task: str) -> Path:
        """Data Docs of a task's contracts."""
        return self.root / "docs" / task

    @property
    def mlflow_db(self) -> Path:
        """SQLite file of the MLflow registry."""
        return self.root / "mlflow" / "mlflow.db"

    @property
    def mlflow_artifacts(self) -> Path:
        """Artifacts of the MLflow registry."""
        return self.root / "mlflow" / "artifacts"

    @property
    def dagster(self) -> Path:
        """The Dagster instance (`DAGSTER_HOME`)."""
        return self.root / "dagster"

    @property
    def bentoml(self) -> Path:
        """Bentos and their models (`BENTOML_HOME`)."""
        return self.root / "bentoml"

    @property
    def logs(self) -> Path:
        """Output of the processes that the command line starts."""
        return self.root / "logs"

    @property
    def lock(self) -> Path:
        """Held by the one `ct demo` or `ct up` that works in this home."""
        return self.root / ".lock"

    @property
    def demo(self) -> Path:
        """What the demo writes: its state and its summary."""
        return self.root / "demo"


def home() -> Home:
    """The home named by `CT_HOME`, as an absolute path."""
    return Home(Path(os.environ.get("CT_HOME", ".ct")).absolute())
