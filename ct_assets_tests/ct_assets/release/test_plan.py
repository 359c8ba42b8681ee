"""The serving plan: absent, whole or refused; never a plan without its model."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from ct_assets.learners.files import ModelFile, ModelFileError
from ct_assets.release import plan
from ct_assets.release.plan import ServingPlan


@pytest.fixture
def model(tmp_path: Path) -> ModelFile:
    path = tmp_path / "registry.ubj"
    path.write_bytes(b"a booster")
    return ModelFile.of(path)


def plan_of(model: ModelFile, version: int = 1) -> ServingPlan:
    return ServingPlan(
        task="card_fraud",
        version=version,
        model=plan.model_path(version),
        sha256=model.sha256,
        feature_hash="abc",
        feature_names=("amount",),
        threshold=0.5,
        decision_id="d",
        decided_at=datetime(2024, 3, 1, tzinfo=UTC),
    )


def test_before_the_first_release_there_is_no_plan(tmp_path: Path) -> None:
    assert plan.read(tmp_path / "serving") is None


def test_a_published_plan_is_read_back_and_leads_to_its_model(tmp_path: Path, model: ModelFile) -> None:
    folder = tmp_path / "serving"
    for _ in range(2):
        plan.publish(folder, plan_of(model), model.path)
    found = plan.read(folder)
    assert found == plan_of(model)
    assert ModelFile.of(folder / found.model).sha256 == model.sha256
    plan.publish(folder, plan_of(model, 2), model.path)
    assert plan.read(folder) == plan_of(model, 2)
    assert sorted(path.name for path in folder.rglob("*")) == ["1.ubj", "2.ubj", "models", "plan.json"]


def test_a_model_that_is_not_the_plans_is_not_published(tmp_path: Path, model: ModelFile) -> None:
    folder = tmp_path / "serving"
    model.path.write_bytes(b"another booster")
    with pytest.raises(ModelFileError):
        plan.publish(folder, plan_of(model), model.path)
    assert plan.read(folder) is None


@pytest.mark.parametrize("content", [b"", b"{", b"{}", b'{"task": 1}'])
def test_a_file_that_is_no_plan_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / plan.FILE).write_bytes(content)
    with pytest.raises(ValueError, match=r"plan\.json: not a serving plan"):
        plan.read(tmp_path)


def test_a_reader_never_sees_a_part(tmp_path: Path, model: ModelFile) -> None:
    # A writer in another process, as fast as it can, while this one reads.
    plan.publish(tmp_path, plan_of(model), model.path)
    code = f"""
from pathlib import Path
from ct_assets.release import atomic
content = Path({str(tmp_path / plan.FILE)!r}).read_bytes()
for _ in range(300):
    atomic.write(Path({str(tmp_path / plan.FILE)!r}), content)
"""
    writer = subprocess.Popen([sys.executable, "-c", code])
    while writer.poll() is None:
        assert plan.read(tmp_path) == plan_of(model)
    assert writer.returncode == 0


def test_the_service_can_read_plans_without_the_heavy_parts() -> None:
    heavy = {"mlflow", "deltalake", "dagster", "xgboost", "matplotlib", "pandas"}
    code = f"import ct_assets.release, ct_assets.release.plan, sys; sys.exit(sorted({heavy!r} & set(sys.modules)) or 0)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_plan_is_plain_json(tmp_path: Path, model: ModelFile) -> None:
    plan.publish(tmp_path, plan_of(model), model.path)
    assert msgspec.json.decode((tmp_path / plan.FILE).read_bytes())["decided_at"] == "2024-03-01T00:00:00Z"
