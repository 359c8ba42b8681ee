"""The MLflow registry: created once, found by digest, readable wherever the home is moved."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import mlflow
import numpy as np
import pytest

from ct_assets.learners.boosted_trees import BoostedTreesModel, matrix
from ct_assets.release.entry import Entry
from ct_assets.release.registry import Registry
from ct_assets_tests.ct_assets.release import worlds


@pytest.fixture
def model() -> BoostedTreesModel:
    events, vectors = worlds.learnable(worlds.TASK, 3)
    return BoostedTreesModel.fit(vectors.select("amount"), events["label"].to_numpy(), worlds.TASK.learner)


def entry(digest: str) -> Entry:
    return Entry(
        digest=digest, run_name="r", params={"a": 1}, metrics={"m": 0.5}, tags={"ct.trigger": "hand"}, datasets={}
    )


def test_creating_again_keeps_what_is_there(registry: Registry, model: BoostedTreesModel) -> None:
    made, _ = registry.register("t", model, entry("a"))
    registry.create()
    assert registry.find("t", "a") == made
    assert [path.name for path in registry.db.parent.glob("draft-*")] == []


def test_a_version_is_found_by_its_digest_only(registry: Registry, model: BoostedTreesModel) -> None:
    assert registry.find("t", "a") is None
    made, file = registry.register("t", model, entry("a"))
    assert registry.find("t", "a") == made
    assert registry.find("t", "b") is None
    assert registry.find("other", "a") is None
    vectors = matrix(worlds.learnable(worlds.TASK, 1)[1].select("amount"))
    loaded = BoostedTreesModel.load(file.path, file.sha256)
    np.testing.assert_array_equal(loaded.predict(vectors), model.predict(vectors))


def test_a_moved_home_still_finds_its_models(registry: Registry, model: BoostedTreesModel, tmp_path: Path) -> None:
    made, file = registry.register("t", model, entry("a"))
    shutil.copytree(registry.db.parent, tmp_path / "moved")
    moved = Registry(tmp_path / "moved" / "mlflow.db", tmp_path / "moved" / "artifacts")
    assert moved.find("t", "a") == made
    assert moved.file(made.model_id).read_bytes() == file.path.read_bytes()


def test_a_moved_home_registers_where_it_is_now(registry: Registry, model: BoostedTreesModel, tmp_path: Path) -> None:
    registry.register("t", model, entry("a"))
    shutil.move(registry.db.parent, tmp_path / "moved")
    moved = Registry(tmp_path / "moved" / "mlflow.db", tmp_path / "moved" / "artifacts")
    made, file = moved.register("t", model, entry("b"))
    assert made.version == 2
    assert file.path.is_relative_to(tmp_path / "moved")
    assert not registry.artifacts.exists()


def test_mlflows_own_tools_can_use_the_model(registry: Registry, model: BoostedTreesModel) -> None:
    registry.register("t", model, entry("a"))
    registry.set_aliases("t", champion=1, previous=None)
    mlflow.set_tracking_uri(registry.uri)
    info = mlflow.models.get_model_info("models:/t@champion")
    assert info.signature.inputs.input_names() == ["amount"]
    assert not info.signature.inputs.inputs[0].required
    requirements = Path(mlflow.artifacts.download_artifacts("models:/t@champion")) / "requirements.txt"
    assert "xgboost==3.2.0" in requirements.read_text().splitlines()


def test_annotations_and_aliases_may_be_repeated(registry: Registry, model: BoostedTreesModel) -> None:
    for digest in ("a", "b"):
        registry.register("t", model, entry(digest))
    for _ in range(2):
        registry.annotate("t", 1, metrics={"lift": 0.25}, tags={"ct.gate.quality": "pass"})
        registry.set_aliases("t", champion=2, previous=1)
    assert registry.aliases("t") == {"champion": 2, "previous": 1}
    client = registry._client()
    version = client.get_model_version("t", "1")
    assert version.tags["ct.gate.quality"] == "pass"
    assert [metric.value for metric in client.get_metric_history(version.run_id, "lift")] == [0.25]


def test_several_writers_wait_for_each_other(registry: Registry, model: BoostedTreesModel) -> None:
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda i: registry.register("t", model, entry(str(i)))[0].version, range(6)))
    assert sorted(made) == [1, 2, 3, 4, 5, 6]
