"""The MLflow registry on SQLite: runs, model versions, aliases. A view for people; the ledger is what decides.

MLflow is imported inside functions, through `_client`: it costs seconds. Finding a model file does not need it.
"""

import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ct_assets import telemetry
from ct_assets.learners.boosted_trees import BoostedTreesModel
from ct_assets.learners.files import ModelFile
from ct_assets.release import entry as entries
from ct_assets.release.entry import Entry

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

DIGEST = "ct.digest"
FILE = "model.ubj"

# MLflow waits 20 s for a lock by itself; these are the times it is asked again after that.
LOCK_ATTEMPTS = 5


@dataclass(frozen=True)
class Registered:
    """Where a version is in MLflow: its number, its run, and the id under which its files lie."""

    version: int
    run_id: str
    model_id: str


@dataclass(frozen=True)
class Registry:
    """The registry whose database is `db` and whose files lie under `artifacts`. One registered model per task."""

    db: Path
    artifacts: Path

    @property
    def uri(self) -> str:
        """The address for MLflow's own tools."""
        return f"sqlite:///{self.db.absolute()}"

    def create(self) -> None:
        """Make the database unless it is there. A run killed half-way leaves nothing behind but a draft."""
        if self.db.exists():
            return
        self.db.parent.mkdir(parents=True, exist_ok=True)
        self.artifacts.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.db.parent, prefix="draft-") as folder:
            draft = Registry(Path(folder) / "mlflow.db", self.artifacts)
            # The first query runs every migration of MLflow's history: about 5 s, once.
            draft._client().search_experiments(max_results=1)
            # A link, unlike a rename, never takes the place of a database that another process made meanwhile.
            with suppress(FileExistsError):
                self.db.hardlink_to(draft.db)

    def file(self, model_id: str) -> Path:
        """The model file of a version, by its place below `artifacts`, so that a moved home still finds it."""
        return self.artifacts / "models" / model_id / "artifacts" / FILE

    def find(self, task: str, digest: str) -> Registered | None:
        """The version registered under `digest`, if any: the newest should there be several."""
        found = _patient(self._client().search_model_versions, f"name = '{task}' AND tags.`{DIGEST}` = '{digest}'")
        rows = sorted(found, key=lambda row: int(row.version))
        return Registered(int(rows[-1].version), rows[-1].run_id, _model_id(rows[-1].source)) if rows else None

    def register(self, task: str, model: BoostedTreesModel, entry: Entry) -> tuple[Registered, ModelFile]:
        """Log a run with `model` and register it; the digest is on the version from the moment it exists.

        A run of the same digest that was killed before it registered is closed as KILLED.
        """
        client = self._client()
        _unless_there(client.create_registered_model, task)
        experiment = self._experiment(client, task)
        self._close_orphans(client, experiment, entry.digest)
        tags = {DIGEST: entry.digest, **entry.tags}
        run = _patient(client.create_run, experiment, run_name=entry.run_name, tags=tags)
        run_id: str = run.info.run_id
        _patient(client.log_batch, run_id, metrics=entries.metrics(entry.metrics), params=entries.params(entry))
        _patient(client.log_inputs, run_id, entries.inputs(entry))
        logged = _patient(
            client.create_logged_model,
            experiment,
            name=task,
            source_run_id=run_id,
            tags=tags,
            params={param.key: param.value for param in entries.params(entry)},
            model_type=type(model).__name__,
        )
        with tempfile.TemporaryDirectory() as folder:
            entries.save(model, Path(folder) / "model")
            _patient(client.log_model_artifacts, logged.model_id, str(Path(folder) / "model"))
        _patient(client.finalize_logged_model, logged.model_id, "READY")
        _patient(client.log_outputs, run_id, [entries.output(logged.model_id)])
        _patient(client.set_terminated, run_id, "FINISHED")
        version = _patient(
            client.create_model_version,
            task,
            source=f"models:/{logged.model_id}",
            run_id=run_id,
            tags=tags,
        )
        registered = Registered(int(version.version), run_id, logged.model_id)
        return registered, ModelFile.of(self.file(logged.model_id))

    def annotate(self, task: str, version: int, *, metrics: Mapping[str, float], tags: Mapping[str, str]) -> None:
        """Add metrics to a version's run and tags to the version, such as verdicts. Repeating it changes nothing."""
        client = self._client()
        run_id = _patient(client.get_model_version, task, str(version)).run_id
        _patient(client.log_batch, run_id, metrics=entries.metrics(metrics))
        for name, text in tags.items():
            _patient(client.set_model_version_tag, task, str(version), name, text)

    def set_aliases(self, task: str, *, champion: int, previous: int | None) -> None:
        """Point `previous` and then `champion`; in between, both may name the same version.

        The two calls are not atomic and keep no history: the ledger is right where they disagree.
        """
        client = self._client()
        if previous is None:
            _patient(client.delete_registered_model_alias, task, "previous")
        else:
            _patient(client.set_registered_model_alias, task, "previous", str(previous))
        _patient(client.set_registered_model_alias, task, "champion", str(champion))

    def aliases(self, task: str) -> dict[str, int]:
        """Versions by alias."""
        found = _patient(self._client().get_registered_model, task).aliases
        return {name: int(version) for name, version in found.items()}

    def _client(self) -> "MlflowClient":
        telemetry.off()
        import mlflow
        from mlflow.tracking import MlflowClient

        # MLflow resolves the source of a version through the global address, whatever the client's own.
        mlflow.set_tracking_uri(self.uri)
        return MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)

    def _experiment(self, client: "MlflowClient", task: str) -> str:
        """The id of the task's experiment. A moved home gets one of its own: MLflow keeps their places as they were."""
        location = self.artifacts.absolute().as_uri()
        name = task
        _unless_there(client.create_experiment, name, artifact_location=location)
        found = _patient(client.get_experiment_by_name, name)
        if found.artifact_location != location:
            name = f"{task} in {self.artifacts.absolute().parent.parent}"
            _unless_there(client.create_experiment, name, artifact_location=location)
            found = _patient(client.get_experiment_by_name, name)
        experiment: str = found.experiment_id
        return experiment

    def _close_orphans(self, client: "MlflowClient", experiment: str, digest: str) -> None:
        for run in _patient(client.search_runs, [experiment], f"tags.`{DIGEST}` = '{digest}'"):
            if run.info.status == "RUNNING":
                _patient(client.set_terminated, run.info.run_id, "KILLED")


def _model_id(source: str) -> str:
    return source.removeprefix("models:/")


def _unless_there(create: Callable[..., Any], name: str, **arguments: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        _patient(create, name, **arguments)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _patient(call: Callable[..., Any], *positional: Any, **named: Any) -> Any:
    """`call(...)`, again after a pause while another process holds the database."""
    from mlflow.exceptions import MlflowException

    for attempt in range(1, LOCK_ATTEMPTS):
        try:
            return call(*positional, **named)
        except MlflowException as error:
            if "database is locked" not in str(error):
                raise
            time.sleep(0.2 * attempt)
    return call(*positional, **named)
