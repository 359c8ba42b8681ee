"""The last words of the demo: tables, kept and broken promises, and what to look at next."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from ct_assets.cli.demo import report
from ct_assets.cli.demo.promises import Promise
from ct_assets.cli.demo.report import Summary
from ct_assets.cli.demo.traffic import Tally


def tell(console: Console, summary: Summary, told: Tally, promises: Sequence[Promise], home: Path) -> None:
    """Print everything a reader needs to judge the demo."""
    console.print()
    for table in report.tables(summary, told):
        console.print(table)
    for promise in promises:
        mark = "[green]kept[/green]  " if promise.kept else "[bold red]BROKEN[/bold red]"
        console.print(f"  {mark}  {promise.text}" + ("" if promise.kept else f"\n          {promise.found}"))
    console.print()
    console.print(f"Summary: {home / 'demo' / report.FILE}", highlight=False, soft_wrap=True)
    console.print("[bold]What next[/bold]")
    console.print("  make up      the same home with Dagster's and MLflow's pages, sensors and the service running")
    console.print("  make demo DATA=your.parquet    the same loop on payments of your own")
    console.print("  README.md    the map of the folders, and how to add a task, a gate, a learner")
