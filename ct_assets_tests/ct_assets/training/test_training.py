"""Training a version: once per digest, whatever is killed when, and everything about it in ledger and registry."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from ct_assets.lake.lake import Lake
from ct_assets.learners.boosted_trees import BoostedTreesModel, matrix
from ct_assets.learners.files import ModelFile
from ct_assets.release import ledger
from ct_assets.release.records import ModelVersion
from ct_assets.release.registry import DIGEST, Registry
from ct_assets.training import training
from ct_assets.training.selection import TrainingSet, select
from ct_assets_tests.ct_assets.release.worlds import Fill
from feature_defs.task import Task

Train = Callable[[TrainingSet], ModelVersion]


@pytest.fixture
def train(lake: Lake, registry: Registry, task: Task) -> Train:
    return lambda data: training.train(
        lake, registry, task, data, trigger="volume", evidence={"matured": 12}, run_id="run-1"
    )


@pytest.fixture
def data(lake: Lake, task: Task, fill: Fill) -> TrainingSet:
    return select(lake, task, fill(30))


def test_a_version_is_explained_by_its_row(
    lake: Lake, registry: Registry, task: Task, data: TrainingSet, train: Train
) -> None:
    row = train(data)
    assert ledger.versions(lake) == [row]
    assert (row.version, row.trigger, row.evidence) == (1, "volume", {"matured": 12})
    manifest = data.manifest
    for name in ("window_from", "window_to", "holdout_to", "label_cutoff", "rows", "positives", "table_versions"):
        assert getattr(row, name) == getattr(manifest, name), name
    file = registry.file(row.model_id)
    assert ModelFile.of(file) == ModelFile(file, row.sha256, row.size)
    model = BoostedTreesModel.load(file, row.sha256)
    assert model.feature_names == task.feature_names == tuple(row.feature_names)
    assert training.quality(model, task, data.holdout) == row.metrics
    assert row.metrics["average_precision"] > 0.3


def test_the_row_is_enough_to_get_the_same_bytes(data: TrainingSet, train: Train, task: Task, tmp_path: Path) -> None:
    row = train(data)
    learner = type(task.learner)(**row.parameters)
    features = data.train.select(row.feature_names)
    again = BoostedTreesModel.fit(features, data.train["label"].to_numpy(), learner)
    assert again.save(tmp_path / "again.ubj").sha256 == row.sha256


def test_mlflow_knows_where_a_version_comes_from(registry: Registry, data: TrainingSet, train: Train) -> None:
    row = train(data)
    client = registry._client()
    run = client.get_run(row.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params["max_bin"] == "32"
    assert run.data.metrics["average_precision"] == row.metrics["average_precision"]
    inputs = {given.dataset.name: given.dataset.digest for given in run.inputs.dataset_inputs}
    assert inputs == {name: f"v{version}" for name, version in row.table_versions.items()}
    version = client.get_model_version(row.task, "1")
    assert version.run_id == row.run_id
    assert version.tags[DIGEST] == row.digest
    assert version.tags["ct.feature_hash"] == row.feature_hash


def test_asking_again_finds_the_same_version(lake: Lake, registry: Registry, data: TrainingSet, train: Train) -> None:
    assert train(data) == train(data)
    assert len(ledger.versions(lake)) == 1
    assert len(registry._client().search_model_versions("name = 'card_fraud'")) == 1


@pytest.mark.parametrize("killed_at", ["entries.save", "_unless_there", "ledger.record_version"])
def test_a_killed_training_is_taken_up_where_it_stopped(
    lake: Lake, registry: Registry, data: TrainingSet, train: Train, killed_at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = "ct_assets.training.training" if killed_at.startswith("ledger") else "ct_assets.release.registry"

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(f"{module}.{killed_at}", die)
        with pytest.raises(KeyboardInterrupt):
            train(data)
    assert ledger.versions(lake) == []
    row = train(data)
    assert [row] == ledger.versions(lake)
    client = registry._client()
    assert [int(found.version) for found in client.search_model_versions("name = 'card_fraud'")] == [row.version] == [1]
    runs = client.search_runs([client.get_experiment_by_name("card_fraud").experiment_id])
    assert [run.info.run_id for run in runs if run.info.status == "FINISHED"] == [row.run_id]
    assert {run.info.status for run in runs} <= {"FINISHED", "KILLED"}
    assert training.quality(BoostedTreesModel.load(registry.file(row.model_id), row.sha256), lake.task, data.holdout)


def test_other_rows_parameters_or_labels_are_other_versions(
    lake: Lake, registry: Registry, task: Task, data: TrainingSet, train: Train
) -> None:
    first = train(data)
    shuffled = train(data.shuffled(1))
    later = train(select(lake, task, data.manifest.as_of - timedelta(days=1)))
    seeded = replace(task, learner=replace(task.learner, seed=1))
    other = training.train(lake, registry, seeded, data, trigger="hand", run_id="run-2")
    assert [row.version for row in (first, shuffled, later, other)] == [1, 2, 3, 4]
    assert shuffled.evidence["alteration"] == "training labels shuffled with seed 1"
    assert shuffled.metrics["average_precision"] < first.metrics["average_precision"] / 2
    assert ledger.newest(lake) == other


def test_a_holdout_without_positives_has_no_ranking_metrics(task: Task, data: TrainingSet) -> None:
    model = BoostedTreesModel.fit(data.train.select(task.feature_names), data.train["label"].to_numpy(), task.learner)
    quiet = data.holdout.filter(pl.col("label") == 0)
    assert set(training.quality(model, task, quiet)) == {"logloss"}
    assert model.predict(matrix(quiet.select(task.feature_names))).shape == (len(quiet),)
