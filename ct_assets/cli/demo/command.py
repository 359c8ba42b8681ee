"""The command line of `ct demo`. What it does is in `play`, imported only when asked for: it needs the whole loop."""

from pathlib import Path
from typing import Annotated

import typer


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
    from ct_assets.cli.demo.play import play

    raise typer.Exit(play(data, days, seed))
