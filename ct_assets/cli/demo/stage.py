"""Everything the phases of one demo share. What is done with it is in `phases`."""

from dataclasses import dataclass
from functools import cached_property

from ct_assets.cli.demo.loop import Loop
from ct_assets.cli.demo.narration import Narrator
from ct_assets.cli.demo.scene import Scene
from ct_assets.cli.demo.service import Service
from ct_assets.cli.demo.state import Notebook, State
from ct_assets.cli.demo.traffic import Log, Step, split, steps
from ct_assets.lake.lake import Lake
from ct_assets.release import ledger
from ct_assets.settings import Home
from feature_defs.task import Task

# Payments that are kept for the second version to answer.
KEPT = 250


@dataclass
class Stage:
    """One demo in one home."""

    home: Home
    task: Task
    scene: Scene
    state: State
    notebook: Notebook
    service: Service
    log: Log
    narrator: Narrator

    @cached_property
    def loop(self) -> Loop:
        """Dagster, loaded when first needed."""
        return Loop(self.home, self.task)

    @cached_property
    def lake(self) -> Lake:
        """The task's Delta tables."""
        return Lake(self.home.lake(self.task.name), self.task)

    @cached_property
    def plan(self) -> list[Step]:
        """Every request of the scene, in order of time."""
        return steps(self.scene)

    @property
    def cut(self) -> int:
        """Steps of the plan before the second version; the rest comes after it."""
        return split(self.plan, KEPT)

    @property
    def champion(self) -> int | None:
        """The version that serves by the ledger."""
        row = ledger.champion(self.lake)
        return row.version if row else None

    def say(self, text: str) -> None:
        """One finding, for people."""
        self.narrator.say(text)
