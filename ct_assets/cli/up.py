"""`ct up`: Dagster, MLflow and the prediction service together, on loopback, under one supervisor."""

import signal
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from ct_assets import instance, telemetry
from ct_assets.occupancy import Occupancy, OccupiedError
from ct_assets.settings import Home, home
from ct_assets.supervisor import Child, free_port, supervise
from feature_defs import catalogue

HOST = "127.0.0.1"


def children(place: Home, task: str, dagster_port: int, mlflow_port: int, service_port: int) -> list[Child]:
    """The processes of a running loop, in the order in which they start."""
    environment = {"CT_HOME": str(place.root), "CT_TASK": task, "DAGSTER_HOME": str(place.dagster)}
    environment |= {"BENTOML_HOME": str(place.bentoml), "PYTHONUNBUFFERED": "1"}
    python = sys.executable

    def child(name: str, *command: str) -> Child:
        return Child(name, command, place.logs / f"{name}.log", environment)

    workspace = str(instance.PROJECT / "workspace.yaml")
    return [
        child("daemon", python, "-m", "dagster._daemon", "run", "-w", workspace),
        child(
            "dagster",
            *(python, "-m", "dagster_webserver", "-w", workspace, "-h", HOST, "-p", str(dagster_port)),
        ),
        child(
            "mlflow",
            *(python, "-m", "mlflow", "server", "--host", HOST, "--port", str(mlflow_port), "--workers", "1"),
            *("--backend-store-uri", f"sqlite:///{place.mlflow_db}"),
            *("--default-artifact-root", place.mlflow_artifacts.as_uri()),
        ),
        child(
            "service",
            *(python, "-m", "bentoml", "serve", "bento.service:Scorer", "--host", HOST, "--port", str(service_port)),
            *("--working-dir", str(instance.PROJECT)),
        ),
    ]


def answers(url: str) -> bool:
    """Whether a GET of `url` comes back at all."""
    try:
        with urllib.request.urlopen(url, timeout=2):  # noqa: S310 loopback only
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def _announce(console: Console, pages: dict[str, str], stopping: threading.Event) -> None:
    waiting = dict(pages)
    started = time.monotonic()
    while waiting and not stopping.is_set():
        for name, url in list(waiting.items()):
            if answers(url):
                console.print(f"  [green]ready[/green]  {name:<8} {url}  ({time.monotonic() - started:.0f} s)")
                del waiting[name]
        stopping.wait(0.5)
    if not stopping.is_set():
        console.print("All up; sensors and schedules run unattended. [bold]Ctrl-C[/bold] ends everything.")


def up(
    task: Annotated[str, typer.Option(help="The task that the service answers for.")] = "card_fraud",
    dagster_port: Annotated[int, typer.Option(help="Wanted port of the Dagster UI, or the next free one.")] = 3000,
    mlflow_port: Annotated[int, typer.Option(help="Wanted port of the MLflow UI.")] = 5000,
    service_port: Annotated[int, typer.Option(help="Wanted port of the prediction service.")] = 3100,
) -> None:
    """Run the loop unattended: Dagster UI and daemon, MLflow UI and the prediction service.

    Everything listens on 127.0.0.1 only, shares CT_HOME, is started again when it ends, and stops with Ctrl-C.
    """
    console = Console()
    telemetry.off()
    place = home()
    catalogue.load(task)
    try:
        occupancy = Occupancy(place)
    except OccupiedError as occupied:
        console.print(str(occupied), style="red", markup=False)
        raise typer.Exit(2) from occupied
    abandoned = instance.close_abandoned(place)
    if abandoned:
        console.print(f"{abandoned} runs had been cut off with the processes that ran them; their work is done again")
    dagster = free_port(dagster_port)
    mlflow = free_port(mlflow_port, [dagster])
    service = free_port(service_port, [dagster, mlflow])

    table = Table("what", "address", "log", title=f"The loop of {task}, state in {_short(place.root)}")
    pages = {
        "dagster": f"http://{HOST}:{dagster}",
        "mlflow": f"http://{HOST}:{mlflow}",
        "service": f"http://{HOST}:{service}",
    }
    for name, url in pages.items():
        table.add_row(name, url, str(_short(place.logs / f"{name}.log")))
    console.print(table)

    stopping = threading.Event()
    for sign in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sign, lambda *_: stopping.set())
    threading.Thread(target=_announce, args=(console, pages, stopping), daemon=True).start()
    status = supervise(children(place, task, dagster, mlflow, service), console.print, stopping.is_set)
    console.print("Stopped." if status == 0 else "[red]Stopped after a fault.[/red]")
    occupancy.close()
    raise typer.Exit(status)


def _short(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
