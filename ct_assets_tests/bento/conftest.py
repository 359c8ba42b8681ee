from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from bento.desk import Desk
from ct_assets.settings import Home
from ct_assets_tests.bento import worlds


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home with version 1 promoted."""
    place = Home(tmp_path / "home")
    worlds.promote(place, 1)
    return place


@pytest.fixture
def desk(home: Home) -> Iterator[Desk]:
    opened = worlds.desk(home)
    yield opened
    opened.close()


@pytest.fixture
def client(desk: Desk) -> TestClient:
    return worlds.client(desk)
