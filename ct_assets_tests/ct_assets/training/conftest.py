"""A lake and a registry of the worlds of `release`."""

from functools import partial
from pathlib import Path

import pytest

from ct_assets.lake.lake import Lake
from ct_assets.release.registry import Registry
from ct_assets_tests.ct_assets.release import worlds
from feature_defs.task import Task


@pytest.fixture
def task() -> Task:
    return worlds.TASK


@pytest.fixture
def lake(tmp_path: Path, task: Task) -> Lake:
    return Lake(tmp_path / "lake", task)


@pytest.fixture
def fill(lake: Lake) -> worlds.Fill:
    return partial(worlds.fill, lake)


@pytest.fixture
def registry(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Registry:
    return worlds.empty_registry(tmp_path, worlds.empty_database(tmp_path_factory.getbasetemp()))
