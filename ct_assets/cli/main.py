"""The `ct` command: assembles the subcommands. What they do is in their own modules."""

import typer

from ct_assets.cli import features, simulate, status, up
from ct_assets.cli.demo.command import demo

app = typer.Typer(
    name="ct",
    help="Continual training: events become late labels, features, models, guarded releases and predictions, again "
    "and again. All state lives in CT_HOME (default .ct). Begin with [bold]ct demo[/bold], then [bold]ct up[/bold].",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_show_locals=False,
)
app.command()(demo)
app.command()(up.up)
app.command()(status.status)
app.command()(simulate.simulate)
app.add_typer(features.app, name="features")
