"""What the demo promises, and whether it was kept.

Where a promise is about counts, two sides count: the client with its files and its record, the lake with its tables.
"""

from dataclasses import dataclass

from ct_assets.cli.demo import audit
from ct_assets.cli.demo.report import Summary
from ct_assets.cli.demo.stage import Stage
from ct_assets.cli.demo.traffic import tally

MIN_COMPARED = 20_000


@dataclass(frozen=True)
class Promise:
    """One promise."""

    text: str
    kept: bool
    found: str


def check(stage: Stage, summary: Summary) -> list[Promise]:
    """All promises, kept or not."""
    return [*_releases(stage, summary), *_events(stage, summary), *_labels(stage), *_service(stage, summary)]


def _releases(stage: Stage, summary: Summary) -> list[Promise]:
    decided = {row.version: row.decision for row in summary.versions}
    bad = stage.state.phases["refusal"]["version"]
    verdicts = next((row.verdicts for row in summary.versions if row.version == bad), {})
    promoted = [version for version, decision in decided.items() if decision == "promoted"]
    return [
        Promise("two versions promoted", len(promoted) >= 2, f"promoted: {promoted}"),
        Promise(
            "the candidate trained on shuffled labels refused by name of the gate",
            decided.get(bad) == "refused" and verdicts.get("quality") == "fail",
            f"version {bad}: {decided.get(bad)}, {verdicts}",
        ),
        Promise(
            "the champion stays",
            summary.champion == (promoted[-1] if promoted else None),
            f"champion: {summary.champion}",
        ),
    ]


def _events(stage: Stage, summary: Summary) -> list[Promise]:
    told, events = tally(stage.plan, stage.log), summary.events
    # The client's side: rows in files and payments sent. The lake's side: deliveries, tables, quarantine.
    sent = len(stage.scene.history) + told.requests - told.failed
    whole = events.offered == events.stored + events.quarantined + events.duplicates
    served = told.requests - told.failed - told.duplicates
    predictions = audit.count(stage.lake, "predictions")
    unique = audit.distinct(stage.lake, "predictions", "event_id")
    events_unique = audit.distinct(stage.lake, "events", "event_id")
    return [
        Promise(
            "payments offered = stored + quarantined + duplicates",
            whole and events.offered == sent and events_unique == events.stored,
            f"sent {sent:,}; offered {events.offered:,}; stored {events.stored:,} ({events_unique:,} different); "
            f"quarantined {events.quarantined:,}; duplicates {events.duplicates:,}",
        ),
        Promise(
            "one prediction per payment served, none lost or doubled",
            predictions == unique == served,
            f"served {served:,}; predictions {predictions:,} for {unique:,} payments",
        ),
    ]


def _labels(stage: Stage) -> list[Promise]:
    told, account = tally(stage.plan, stage.log), audit.deliveries(stage.lake, "labels")
    sent = len(stage.scene.told) + told.labels
    stored = audit.count(stage.lake, "labels")
    return [
        Promise(
            "labels offered = stored + quarantined + duplicates",
            account.adds_up and account.offered == sent and account.stored == stored,
            f"sent {sent:,}; {account}; {stored:,} in the table",
        )
    ]


def _service(stage: Stage, summary: Summary) -> list[Promise]:
    told = tally(stage.plan, stage.log)
    skew = audit.skew(stage.lake, stage.task)
    return [
        Promise("no request failed", told.failed == 0, f"{told.failed} of {told.requests:,}"),
        Promise(
            f"no feature value served differs from its recomputation, of {MIN_COMPARED:,} at least",
            skew.passed and skew.compared >= MIN_COMPARED,
            str(skew),
        ),
        Promise(
            "the running service changed models by itself",
            len(told.versions) >= 2 and max(told.versions) == summary.champion,
            f"answers by version: {told.versions}",
        ),
    ]
