"""Whose home it is, and where a killed demo goes on."""

import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from ct_assets.cli.demo.state import Arguments, Notebook, NotOursError
from ct_assets.occupancy import OccupiedError
from ct_assets.settings import Home

ARGUMENTS = Arguments("card_fraud", None, 7, 0)


@pytest.fixture
def place(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def _begin(place: Home, arguments: Arguments = ARGUMENTS) -> dict[str, dict[str, object]]:
    with closing(Notebook(place)) as notebook:
        return notebook.open(arguments).phases


def test_a_killed_demo_with_the_same_arguments_goes_on(place: Home) -> None:
    with closing(Notebook(place)) as notebook:
        state = notebook.open(ARGUMENTS)
        state.phases["history"] = {"seconds": 1.5, "events": 10}
        state.request = {"dagster/run_key": "one"}
        notebook.write(state)
    place.lake("card_fraud").mkdir(parents=True)
    with closing(Notebook(place)) as notebook:
        again = notebook.open(ARGUMENTS)
    assert again.phases == {"history": {"seconds": 1.5, "events": 10}}
    assert again.request == {"dagster/run_key": "one"}
    assert place.lake("card_fraud").exists()


@pytest.mark.parametrize("other", [Arguments("card_fraud", None, 7, 1), Arguments("card_fraud", "x.parquet", 7, 0)])
def test_other_arguments_start_over(place: Home, other: Arguments) -> None:
    with closing(Notebook(place)) as notebook:
        state = notebook.open(ARGUMENTS)
        state.phases["history"] = {"seconds": 1.0}
        notebook.write(state)
    (place.store("card_fraud") / "data.mdb").parent.mkdir(parents=True)
    assert _begin(place, other) == {}
    assert not place.store("card_fraud").exists()


def test_a_finished_demo_starts_over_in_a_cleared_home(place: Home) -> None:
    with closing(Notebook(place)) as notebook:
        state = notebook.open(ARGUMENTS)
        state.phases["history"] = {"seconds": 1.0}
        state.status = "finished"
        notebook.write(state)
    place.lake("card_fraud").mkdir(parents=True)
    (place.demo / "traffic.log").write_bytes(b"old")
    assert _begin(place) == {}
    assert sorted(path.name for path in place.root.iterdir()) == [".lock", "demo"]
    assert sorted(path.name for path in place.demo.iterdir()) == ["state.json"]


def test_the_home_of_somebody_else_is_not_touched(place: Home) -> None:
    precious = place.lake("card_fraud") / "events" / "part.parquet"
    precious.parent.mkdir(parents=True)
    precious.write_text("years of work")
    with pytest.raises(NotOursError, match=r"nothing was touched.*CT_HOME="):
        Notebook(place)
    assert precious.read_text() == "years of work"
    assert not place.demo.exists()


def test_two_demos_at_once_do_not_share_a_home(place: Home) -> None:
    with closing(Notebook(place)), pytest.raises(OccupiedError, match="is running in"):
        Notebook(place)
    _begin(place)


def test_the_lock_goes_with_a_killed_process(place: Home) -> None:
    program = (
        "import os, signal, pathlib\n"
        "from ct_assets.settings import Home\n"
        "from ct_assets.cli.demo.state import Notebook\n"
        f"notebook = Notebook(Home(pathlib.Path({str(place.root)!r})))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == -9
    assert _begin(place) == {}
