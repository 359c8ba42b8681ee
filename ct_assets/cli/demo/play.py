"""A demo from its arguments to its exit status: whose home it is, which phases are left, whether promises were kept."""

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
from rich.console import Console

from ct_assets import instance, telemetry
from ct_assets.cli.demo import ending, report, scene
from ct_assets.cli.demo.loop import LoopError
from ct_assets.cli.demo.narration import Narrator
from ct_assets.cli.demo.phases import PHASES, Phase
from ct_assets.cli.demo.promises import check
from ct_assets.cli.demo.scene import Scene, SceneError
from ct_assets.cli.demo.service import Service, ServiceError
from ct_assets.cli.demo.stage import Stage
from ct_assets.cli.demo.state import Arguments, Notebook, NotOursError, State
from ct_assets.cli.demo.traffic import Log, TrafficError, tally
from ct_assets.occupancy import OccupiedError
from ct_assets.release import atomic
from ct_assets.settings import Home, home
from feature_defs import catalogue
from feature_defs.task import Task

TASK = "card_fraud"

# Width where there is no terminal to ask.
PAGE = 120

# Exit statuses.
KEPT, BROKEN, REFUSED = 0, 1, 2


def play(data: Path | None, days: int | None, seed: int) -> int:
    """Run a demo, or what a killed one left to do; returns the exit status."""
    telemetry.off()
    # Trainer threads that spin while they wait take the processor from the service beside them.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    narrator = Narrator(Console(file=sys.stdout, width=None if sys.stdout.isatty() else PAGE))
    place, task = home(), catalogue.load(TASK)
    arguments = Arguments(task.name, str(data.resolve()) if data else None, days, seed)
    try:
        with contextlib.closing(Notebook(place)) as notebook:
            played = scene.from_file(task, data, days) if data else scene.simulated(task, days, seed)
            state = notebook.open(arguments)
            instance.prepare(place)
            with _quiet(place.logs / "demo.log"):
                return _play(place, task, played, state, notebook, narrator)
    except (NotOursError, OccupiedError, SceneError) as wrong:
        narrator.console.print(str(wrong), style="red", markup=False, highlight=False, soft_wrap=True)
        return REFUSED


def _play(place: Home, task: Task, played: Scene, state: State, notebook: Notebook, narrator: Narrator) -> int:
    """Run what is left of the demo; returns the exit status."""
    narrator.title(f"{task.name}: the loop, once around")
    if state.phases:
        narrator.say(f"going on after {next(reversed(state.phases))!r}, where an earlier demo was cut off")
    with Service(place, task.name) as service, contextlib.closing(Log(place.demo / "traffic.log")) as log:
        stage = Stage(place, task, played, state, notebook, service, log, narrator)
        try:
            for number, phase in enumerate(PHASES, start=1):
                if not state.done(phase.name):
                    _run(stage, number, phase)
        except (LoopError, ServiceError, TrafficError) as wrong:
            narrator.console.print(str(wrong), style="red", markup=False, highlight=False, soft_wrap=True)
            narrator.say(f"details are in {place.logs}; the same command goes on from here")
            return BROKEN
        service.end()
        summary = report.summarise(stage)
        promises = check(stage, summary)
        told = tally(stage.plan, log)
    atomic.write(place.demo / report.FILE, msgspec.json.format(msgspec.json.encode(summary), indent=2))
    state.status = "finished"
    notebook.write(state)
    ending.tell(narrator.console, summary, told, promises, place.root)
    return KEPT if all(promise.kept for promise in promises) else BROKEN


def _run(stage: Stage, number: int, phase: Phase) -> None:
    began = time.monotonic()
    with stage.narrator.step(number, phase.title):
        facts = phase.run(stage)
    stage.state.phases[phase.name] = {"seconds": round(time.monotonic() - began, 1), **facts}
    stage.notebook.write(stage.state)


@contextlib.contextmanager
def _quiet(path: Path) -> Iterator[None]:
    """Send what is printed and logged meanwhile to a file."""
    with path.open("a", buffering=1) as log, contextlib.redirect_stdout(log), contextlib.redirect_stderr(log):
        yield
