"""`ct demo`: the loop, once around, on a simulated world or on a file of real payments."""

import contextlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import msgspec
import typer
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
from ct_assets.cli.demo.state import Arguments, Notebook, NotOursError, State, replace
from ct_assets.cli.demo.traffic import Log, TrafficError, tally
from ct_assets.settings import Home, home
from feature_defs import catalogue
from feature_defs.task import Task

TASK = "card_fraud"


def demo(
    data: Annotated[
        Path | None, typer.Option(help="Real payments with labels (.parquet or .csv); simulated ones without it.")
    ] = None,
    days: Annotated[
        int | None, typer.Option(min=1, help="Days of traffic; 7, or fewer if that is more than 20,000 payments.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the simulated world; same seed, same versions.")] = 0,
) -> None:
    """The loop, once around: payments become late labels, features, a model, verdicts, predictions, a second model.

    Works in CT_HOME, which must be empty or an earlier demo's. Killed at any moment and started again with the same
    options, it goes on where it was. Exits with 1 if a promise was not kept.
    """
    telemetry.off()
    narrator = Narrator(Console(file=sys.stdout))
    place, task = home(), catalogue.load(TASK)
    arguments = Arguments(task.name, str(data.resolve()) if data else None, days, seed)
    try:
        with contextlib.closing(Notebook(place)) as notebook:
            played = scene.from_file(task, data, days) if data else scene.simulated(task, days, seed)
            state = notebook.open(arguments)
            instance.prepare(place)
            # What libraries print and log belongs in a file; the console is the narrator's.
            with _quiet(place.logs / "demo.log"):
                status = _play(place, task, played, state, notebook, narrator)
    except (NotOursError, SceneError) as wrong:
        narrator.console.print(str(wrong), style="red", markup=False, highlight=False, soft_wrap=True)
        status = 2
    raise typer.Exit(status)


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
            return 1
        service.end()
        summary = report.summarise(stage)
        promises = check(stage, summary)
        told = tally(stage.plan, log)
    replace(place.demo / report.FILE, msgspec.json.format(msgspec.json.encode(summary), indent=2))
    state.status = "finished"
    notebook.write(state)
    ending.tell(narrator.console, summary, told, promises, place.root)
    return 0 if all(promise.kept for promise in promises) else 1


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
