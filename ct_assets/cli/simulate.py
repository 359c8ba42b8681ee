"""`ct simulate`: card payments and their late labels, as Parquet files."""

from pathlib import Path
from typing import Annotated

import polars as pl
import typer
from rich.console import Console

from ct_assets.simulator import payments
from ct_assets.simulator.faults import Faults, Span
from ct_assets.simulator.payments import Simulation
from ct_assets.simulator.world import World


def _span(text: str | None) -> Span | None:
    """`FIRST:DAYS`, for example `30:2` for the days 30 and 31."""
    if text is None:
        return None
    first, separator, days = text.partition(":")
    if not (separator and first.isdigit() and days.isdigit() and int(days) > 0):
        raise typer.BadParameter(f"{text!r} is not FIRST:DAYS, such as 30:2 for the two days from day 30 on")
    return Span(int(first), int(days))


def simulate(
    out: Annotated[Path, typer.Option(help="Folder for events.parquet and labels.parquet; made if missing.")],
    days: Annotated[int, typer.Option(min=1, help="Days to simulate.")] = 60,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same bytes.")] = 0,
    customers: Annotated[int, typer.Option(min=1, help="Cards; each pays about twice a day.")] = World.customers,
    terminals: Annotated[int, typer.Option(min=1, help="Terminals.")] = World.terminals,
    card_testing_from: Annotated[int | None, typer.Option(min=0, help="Day on which a new fraud begins.")] = None,
    unit_bug: Annotated[str | None, typer.Option(help="FIRST:DAYS on which amounts come in cents.")] = None,
    null_burst: Annotated[str | None, typer.Option(help="FIRST:DAYS on which amounts are missing.")] = None,
    label_outage: Annotated[str | None, typer.Option(help="FIRST:DAYS on which no label arrives.")] = None,
    duplicated: Annotated[float, typer.Option(min=0, max=1, help="Share of payments delivered twice.")] = 0.0,
    late: Annotated[float, typer.Option(min=0, max=1, help="Share of payments up to two hours late.")] = 0.0,
) -> None:
    """Simulate card payments with late labels, and what goes wrong with them."""
    found = payments.simulate(
        Simulation(
            seed=seed,
            days=days,
            world=World(customers=customers, terminals=terminals),
            faults=Faults(
                card_testing_from=card_testing_from,
                unit_bug=_span(unit_bug),
                null_burst=_span(null_burst),
                label_outage=_span(label_outage),
                duplicated=duplicated,
                late=late,
            ),
        )
    )
    out.mkdir(parents=True, exist_ok=True)
    found.events.write_parquet(out / "events.parquet")
    found.labels.write_parquet(out / "labels.parquet")
    frauds = found.events.unique("transaction_id").select((pl.col("scenario") > 0).mean()).item()
    Console().print(
        f"{len(found.events):,} payments over {days} days, {frauds:.2%} of them frauds, and "
        f"{len(found.labels):,} label statements in {out}"
    )
