"""`ct features`: the vectors of a file of events, and the catalogue of a task's features.

What features are is in `feature_defs`; how they are computed in `feature_defs.engine`.
"""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Column, Table

from ct_assets import settings
from feature_defs import canonical, catalogue, description
from feature_defs.task import Task

console = Console()
errors = Console(stderr=True)


class Features(typer.core.TyperGroup):
    """A group whose own name takes a task: `ct features TASK --events FILE`, beside `ct features show TASK`."""

    def resolve_command(self, ctx, args):  # type: ignore[no-untyped-def]
        """A first word that is no command of the group is a task to compute."""
        if args and args[0] not in self.commands:
            args = ["compute", *args]
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=Features,
    help="Features of a task: `ct features TASK --events FILE --out FILE`, and what they mean.",
    no_args_is_help=True,
)


@app.command(hidden=True)
def compute(
    task: Annotated[str, typer.Argument(help="Name of the task.")],
    events: Annotated[Path, typer.Option(help="Parquet, CSV or JSON lines with the stream's columns.")],
    out: Annotated[Path, typer.Option(help="The Parquet file to write.")],
    labels: Annotated[Path | None, typer.Option(help="Label statements; without it the task's rule is used.")] = None,
    as_of: Annotated[datetime | None, typer.Option(help="Leave out what had not arrived by then (UTC).")] = None,
    mode: Annotated[str, typer.Option(help="as_served, or as_if_on_time: as if nothing had come late.")] = "as_served",
    threads: Annotated[int, typer.Option(min=1, help="Threads that share the entities.")] = 1,
) -> None:
    """Compute the features of every row of a file: `event_id` first, then the features, in the order of the file."""
    from datetime import UTC

    from feature_defs.engine import files

    if mode not in ("as_served", "as_if_on_time"):
        raise typer.BadParameter("it is as_served or as_if_on_time", param_hint="--mode")
    definition = _load(task)
    instant = as_of.replace(tzinfo=UTC) if as_of is not None and as_of.tzinfo is None else as_of
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=errors, transient=True) as progress:
        line = progress.add_task(f"features of {events.name}")
        try:
            rows = files.write(
                definition,
                events,
                out,
                labels=labels,
                as_of=instant,
                mode="as_if_on_time" if mode != "as_served" else "as_served",
                threads=threads,
                progress=lambda done: progress.update(line, description=f"{done:,} rows of {events.name}"),
            )
        except (ValueError, OverflowError) as error:
            errors.print(f"[red]{error}[/red]", highlight=False)
            raise typer.Exit(1) from error
    console.print(f"{rows:,} rows, {len(definition.feature_names)} features ({definition.feature_hash}) in {out}")


@app.command()
def show(
    task: Annotated[str, typer.Argument(help="Name of the task.")],
    against: Annotated[str | None, typer.Option(help="Hash of an earlier feature set to compare with.")] = None,
) -> None:
    """The catalogue of a task's features, or how they differ from an earlier set."""
    definition = _load(task)
    folder = settings.home().root / "features"
    if against is None:
        console.print(_catalogue(definition))
    else:
        kept = folder / f"{against}.json"
        if not kept.is_file():
            known = ", ".join(sorted(file.stem for file in folder.glob("*.json"))) or "none"
            errors.print(f"[red]no feature set {against} has been seen in {folder}; known: {known}[/red]")
            raise typer.Exit(1)
        _print_difference(canonical.difference(kept.read_text(), definition.canonical), against, definition)
    # Every set that was looked at can be compared with later.
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{definition.feature_hash}.json").write_text(definition.canonical)


def _load(name: str) -> Task:
    try:
        return catalogue.load(name)
    except KeyError as error:
        errors.print(f"[red]{error.args[0]}[/red]")
        raise typer.Exit(1) from error


def _catalogue(task: Task) -> Table:
    # A name is for copying, so it is never cut or folded.
    name = Column("name", no_wrap=True, min_width=max(map(len, task.feature_names)))
    table = Table(name, "meaning", "entity", "window", "delay", "type", title=f"{task.name} {task.feature_hash}")
    for one in description.describe(task):
        table.add_row(one.name, one.meaning, one.entity or "", one.window or "", one.delay or "", one.type)
    return table


def _print_difference(found: canonical.Difference, against: str, task: Task) -> None:
    if found.empty:
        console.print(f"{task.feature_hash} computes the same columns as {against}")
    for sign, names in (("+", found.added), ("-", found.removed), ("~", found.changed)):
        for name in names:
            console.print(f"{sign} {name}", highlight=False)
    if found.moved:
        console.print("the columns that both have are in another order")
