"""What the demo remembers in `$CT_HOME/demo/state.json`: whose home this is, and how far it came.

A killed demo with the same arguments goes on where it was; a finished one starts over. The home of somebody else is
never touched.
"""

import shutil
from pathlib import Path
from typing import Any, Literal

import msgspec

from ct_assets.occupancy import Occupancy
from ct_assets.release import atomic
from ct_assets.settings import Home

FILE = "state.json"


class NotOursError(Exception):
    """The home holds state that the demo did not make."""


class Arguments(msgspec.Struct, frozen=True):
    """What a demo was started with. The same arguments give the same versions and metrics."""

    task: str
    data: str | None
    days: int | None
    seed: int


class State(msgspec.Struct):
    """How far a demo came. `phases` holds the finished ones in order, each with its seconds and what it found."""

    arguments: Arguments
    status: Literal["running", "finished"] = "running"
    phases: dict[str, dict[str, Any]] = {}
    # Written before the run that a sensor asked for, so that a killed run is repeated, not forgotten.
    request: dict[str, Any] | None = None

    def done(self, phase: str) -> bool:
        """Whether `phase` is finished."""
        return phase in self.phases


class Notebook:
    """Keeps the `State` of one home on disk, and the home for itself.

    Raises:
        NotOursError: the home is not the demo's.
        OccupiedError: another demo, or `ct up`, is running there.
    """

    def __init__(self, home: Home) -> None:
        self.home = home
        self.path = home.demo / FILE
        if not self.path.exists() and home.root.exists() and any(_contents(home)):
            found = ", ".join(sorted(path.name for path in _contents(home)))
            raise NotOursError(
                f"{home.root} holds state that the demo did not make ({found}); nothing was touched. "
                "Name another folder: CT_HOME=/some/new/folder"
            )
        home.demo.mkdir(parents=True, exist_ok=True)
        self._occupancy = Occupancy(home)

    def open(self, arguments: Arguments) -> State:
        """The state to go on from: what a killed demo with these arguments left, or a fresh one in a cleared home."""
        if self.path.exists():
            state = msgspec.json.decode(self.path.read_bytes(), type=State)
            if state.status == "running" and state.arguments == arguments:
                return state
        state = State(arguments)
        # The marker first: a demo killed while clearing is still recognised as ours.
        self.write(state)
        for path in _contents(self.home):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        for path in self.home.demo.iterdir():
            if path.name != FILE:
                path.unlink()
        return state

    def write(self, state: State) -> None:
        """Replace what is on disk, as a whole or not at all."""
        atomic.write(self.path, msgspec.json.format(msgspec.json.encode(state), indent=1))

    def close(self) -> None:
        """Let the next demo in."""
        self._occupancy.close()


def _contents(home: Home) -> list[Path]:
    """What there is in the home besides the demo's own folder."""
    return [path for path in home.root.iterdir() if path not in (home.demo, home.lock)] if home.root.exists() else []
