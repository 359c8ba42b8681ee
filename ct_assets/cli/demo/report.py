"""What the demo came to, as it is written to `summary.json` and shown as a table.

Counted from the lake, the ledger and the client's own record, never from what the demo meant to do.
"""

import msgspec
import polars as pl
from rich.table import Table

from ct_assets.cli.demo import audit
from ct_assets.cli.demo.stage import Stage
from ct_assets.cli.demo.traffic import Tally, tally
from ct_assets.release import ledger

FILE = "summary.json"


class Events(msgspec.Struct, frozen=True):
    """What became of every payment offered, in files and over HTTP."""

    offered: int
    stored: int
    quarantined: int
    duplicates: int


class Labels(msgspec.Struct, frozen=True):
    """Label statements in the lake, and events whose label is mature."""

    stored: int
    mature: int


class Served(msgspec.Struct, frozen=True):
    """Requests for a prediction; latencies as the client saw them."""

    requests: int
    failed: int
    p50_ms: float
    p99_ms: float


class Compared(msgspec.Struct, frozen=True):
    """Feature values compared as 64-bit words."""

    compared: int
    mismatched: int


class Version(msgspec.Struct, frozen=True):
    """One version and what the gates and the release made of it."""

    version: int
    trigger: str
    rows: int
    window: tuple[str, str]
    average_precision: float | None
    champion_average_precision: float | None
    verdicts: dict[str, str]
    decision: str


class Summary(msgspec.Struct, frozen=True):
    """`summary.json`."""

    task: str
    source: str
    events: Events
    labels: Labels
    served: Served
    skew: Compared
    versions: list[Version]
    champion: int | None
    seconds: dict[str, float]


def summarise(stage: Stage) -> Summary:
    """Count everything."""
    lake, told = stage.lake, tally(stage.plan, stage.log)
    events = audit.deliveries(lake, "events")
    skew = audit.skew(lake, stage.task)
    seconds = {name: facts["seconds"] for name, facts in stage.state.phases.items()}
    return Summary(
        task=stage.task.name,
        source=stage.scene.source,
        events=Events(
            # A repeated request is answered from memory and never reaches the journal: only the client knows of it.
            offered=events.offered + told.duplicates,
            stored=audit.count(lake, "events"),
            quarantined=audit.quarantined(lake, "events"),
            duplicates=events.duplicates + told.duplicates,
        ),
        labels=Labels(
            stored=audit.count(lake, "labels"),
            mature=audit.count(lake, "labeled_events", pl.col("mature") & pl.col("label").is_not_null()),
        ),
        served=Served(told.requests, told.failed, told.p50_ms, told.p99_ms),
        skew=Compared(skew.compared, skew.mismatched),
        versions=_versions(stage),
        champion=stage.champion,
        seconds=seconds | {"total": round(sum(seconds.values()), 1)},
    )


def _versions(stage: Stage) -> list[Version]:
    found = []
    for row in ledger.versions(stage.lake):
        verdicts = ledger.verdicts(stage.lake, row.version)
        sample = verdicts["quality"].sample if "quality" in verdicts else {}
        decided = audit.decision(stage.lake, row.version)
        found.append(
            Version(
                version=row.version,
                trigger=row.trigger,
                rows=row.rows,
                window=(row.window_from.isoformat(), row.window_to.isoformat()),
                average_precision=sample.get("average_precision"),
                champion_average_precision=sample.get("champion_average_precision"),
                verdicts={name: verdict.outcome for name, verdict in verdicts.items()},
                decision=decided.outcome if decided else "none",
            )
        )
    return found


def tables(summary: Summary, told: Tally) -> list[Table]:
    """The summary for people: the versions, then everything that was counted."""
    return [_versions_table(summary), _counts_table(summary, told)]


def _versions_table(summary: Summary) -> Table:
    table = Table("version", "trigger", "rows", "trained on", "AP", "champion's", "gates", "decision")
    table.title = f"{summary.task} on {summary.source}; AP is average precision on the newest mature week"
    for row in summary.versions:
        short = [f"{name} {outcome}" for name, outcome in row.verdicts.items() if outcome != "pass"]
        colour = "green" if row.decision == "promoted" else "red"
        precisions = (row.average_precision, row.champion_average_precision)
        table.add_row(
            f"{row.version}{' *' if row.version == summary.champion else ''}",
            row.trigger,
            f"{row.rows:,}",
            f"{row.window[0][:10]} to {row.window[1][:10]}",
            *("-" if value is None else f"{value:.4f}" for value in precisions),
            ", ".join(short) or "all pass",
            f"[{colour}]{row.decision}[/{colour}]",
        )
    return table


def _counts_table(summary: Summary, told: Tally) -> Table:
    table = Table("what", "how many", show_header=False)
    events, labels, served, skew = summary.events, summary.labels, summary.served, summary.skew
    table.add_row(
        "payments",
        f"{events.offered:,} offered = {events.stored:,} stored + {events.quarantined:,} quarantined "
        f"+ {events.duplicates:,} duplicates",
    )
    table.add_row("labels", f"{labels.stored:,} statements stored, {labels.mature:,} payments with a mature label")
    table.add_row("requests", f"{served.requests:,}, {served.failed} failed, {told.refused} refused as malformed")
    table.add_row("latency", f"p50 {served.p50_ms:.2f} ms, p99 {served.p99_ms:.2f} ms over one connection")
    table.add_row("skew", f"{skew.mismatched} of {skew.compared:,} feature values differ")
    table.add_row("seconds", ", ".join(f"{name} {seconds:.0f}" for name, seconds in summary.seconds.items()))
    return table
