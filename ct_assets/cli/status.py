"""`ct status`: where a task stands, in one screen. Reads only."""

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from ct_assets import intake, triggers
from ct_assets.lake.delivery import total
from ct_assets.lake.lake import Lake
from ct_assets.release import ledger, plan
from ct_assets.settings import home
from feature_defs import catalogue


def status(
    task: Annotated[str, typer.Argument(help="Name of the task.")] = "card_fraud",
) -> None:
    """Show what came in, what waits, the versions with their decisions, and who serves."""
    console = Console()
    definition = catalogue.load(task)
    place = home()
    lake = Lake(place.lake(task), definition)
    at = triggers.standing(definition, lake)
    if at.now is None:
        console.print(
            f"Nothing in the lake of {task} yet. Run [bold]ct demo[/bold], or put files into the inbox: "
            f"{place.inbox(task) / 'events'}"
        )
        raise typer.Exit(0)

    rows = Table(
        "stream", "offered", "stored", "quarantined", "duplicates", title=f"{task}: came in", title_justify="left"
    )
    for stream in ("events", "labels", "predictions"):
        account = total(lake, stream)
        numbers = (account.offered, account.stored, account.quarantined, account.duplicates)
        rows.add_row(stream, *(f"{number:,}" for number in numbers))
    console.print(rows)

    waiting = intake.waiting(place, definition)
    console.print(f"now {at.now:%Y-%m-%d %H:%M:%S} UTC by the task's clock; waiting: {len(waiting.files)} files")
    console.print(f"{at.waiting:,} of {definition.policy.volume:,} labels have matured since version {at.newest}")

    decided = {row.version: row for row in ledger.decisions(lake) if row.kind == "decision"}
    table = Table("version", "trigger", "rows", "average precision", "decision", title="versions", title_justify="left")
    for row in ledger.versions(lake):
        decision = decided.get(row.version)
        table.add_row(
            str(row.version),
            row.trigger,
            f"{row.rows:,}",
            f"{row.metrics.get('average_precision', float('nan')):.4f}",
            decision.outcome if decision else "candidate",
        )
    console.print(table)
    served = plan.read(place.serving(task))
    console.print(f"serving: version {served.version}" if served else "serving: nobody yet")
