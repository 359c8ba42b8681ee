"""A Bento is built, answers, names one model for good, and is served from a folder that has nothing else."""

import json
import shutil
from importlib import metadata
from pathlib import Path

import httpx
import pytest

from ct_assets.learners.files import ModelFileError
from ct_assets.release import package
from ct_assets.settings import Home
from ct_assets_tests.bento import worlds
from ct_assets_tests.bento.servers import PROJECT, Server


def test_only_what_the_service_needs_is_required() -> None:
    pins = package.requirements((PROJECT / package.LOCK).read_text()).splitlines()
    names = {pin.partition("==")[0] for pin in pins}
    assert {"bentoml", "starlette", "uvicorn", "uvloop", "polars", "numba", "llvmlite", "xgboost", "lmdb"} <= names
    assert not names & {"dagster", "mlflow", "pandas", "great-expectations", "evidently", "pytest"}
    assert all("==" in pin and "\\" not in pin and "hash" not in pin for pin in pins)


def test_a_model_file_of_another_digest_is_not_packaged(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError):
        package.build(Home(tmp_path), worlds.plan(1), worlds.model(2).path)


@pytest.mark.slow
def test_a_bento_answers_from_its_own_files_and_builds_once(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    plan, model = worlds.plan(1), worlds.model(1).path
    # What an interrupted build may have left is not taken for a Bento.
    (home.bentoml / "bentos" / "card-fraud" / "1").mkdir(parents=True)

    tag = package.build(home, plan, model)
    assert tag == "card-fraud:1"
    bento = home.bentoml / "bentos" / "card-fraud" / "1"
    assert json.loads((bento / "src" / "bento" / "package.json").read_text()) == {"task": "card_fraud", "model": tag}
    assert (bento / "src" / package.LOCK).read_bytes() == (PROJECT / package.LOCK).read_bytes()
    assert not (bento / "src" / "ct_assets" / "definitions.py").exists()

    stamp = (bento / "bento.yaml").stat().st_mtime_ns
    assert package.build(home, plan, model) == tag
    assert (bento / "bento.yaml").stat().st_mtime_ns == stamp
    with pytest.raises(package.PackagingError, match="never changes"):
        package.build(home, worlds.plan(1, sha256=worlds.model(2).sha256), worlds.model(2).path)

    # Elsewhere: only BentoML's own folder, no plan, and no checkout in sight.
    elsewhere = Home(tmp_path / "elsewhere")
    shutil.copytree(home.bentoml, elsewhere.bentoml)
    empty = tmp_path / "empty"
    empty.mkdir()
    with Server(elsewhere, tag, empty) as server, httpx.Client(base_url=server.url, timeout=60) as client:
        page = client.get("/model").json()
        assert (page["champion"]["version"], page["champion"]["packaged"]) == (1, True)
        served = client.post("/predict", json=worlds.event(1)).json()["score"]
        # A plan in the home goes before the model of the Bento.
        worlds.promote(elsewhere, 2)
        while client.get("/model").json()["champion"]["version"] != 2:
            pass

    desk = worlds.desk(Home(tmp_path / "direct"), packaged=home.bentoml / "models" / "card-fraud" / "1")
    assert worlds.client(desk).post("/predict", json=worlds.event(1)).json()["score"] == served
    desk.close()


def test_a_build_finds_the_tool_that_it_would_otherwise_fetch() -> None:
    assert metadata.version("uv")
