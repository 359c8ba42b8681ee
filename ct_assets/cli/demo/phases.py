"""The steps of the demo, in order. Each can be repeated from its start without losing or doubling anything."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ct_assets.assets.keys import CAUSE_TAG, EVIDENCE_TAG
from ct_assets.cli.demo import audit, refusal, scene
from ct_assets.cli.demo.loop import LoopError
from ct_assets.cli.demo.stage import Stage
from ct_assets.cli.demo.traffic import send, tally
from ct_assets.release import ledger

# The service looks for a new plan every few seconds, and loads and warms the model before it swaps.
PICK_UP_SECONDS = 60.0

Facts = Mapping[str, Any]


@dataclass(frozen=True)
class Phase:
    """One step: its name in the summary, its title, what it does."""

    name: str
    title: str
    run: Callable[[Stage], Facts]


def history(stage: Stage) -> Facts:
    """Drop what happened before now into the inbox, one file a month."""
    stream, label, inbox = stage.task.events, stage.task.label, stage.home.inbox(stage.task.name)
    known = stage.scene
    parts = {"events": (known.history, stream.time), "labels": (known.told, label.time_column)}
    for name, (frame, column) in parts.items():
        (inbox / name).mkdir(parents=True, exist_ok=True)
        for month, rows in scene.by_month(frame, column):
            draft = inbox / f"{name}-{month}.draft"
            rows.write_parquet(draft)
            draft.replace(inbox / name / f"{month}.parquet")
    stage.say(
        f"{known.source}: {len(known.history):,} payments and {len(known.told):,} label statements up to "
        f"{known.now:%Y-%m-%d}; {known.days} days of traffic to come"
    )
    return {"events": len(known.history), "labels": len(known.told), "now": known.now.isoformat()}


def ingest(stage: Stage) -> Facts:
    """Take the history in: contracts, quarantine, deduplication, labels, features."""
    with stage.narrator.waiting("Dagster job: files -> events, labels, labelled events, features"):
        stage.loop.ingest()
    taken = audit.deliveries(stage.lake, "events")
    stage.say(
        f"{taken.offered:,} payments offered = {taken.stored:,} stored + {taken.quarantined:,} quarantined "
        f"+ {taken.duplicates:,} duplicates"
    )
    return {}


def first_version(stage: Stage) -> Facts:
    """Train, gate, promote, build; nobody serves yet, so it must beat a constant score."""
    with stage.narrator.waiting("Dagster job: training set, candidate, evaluation, release, Bento"):
        failure = stage.loop.retrain({CAUSE_TAG: "first version"})
    return _promoted(stage, failure)


def service(stage: Stage) -> Facts:
    """Start the service as a process of its own."""
    with stage.narrator.waiting("starting bentoml serve"):
        stage.service.ensure()
    version = stage.service.version()
    stage.say(f"http://127.0.0.1:{stage.service.port} answers with version {version}")
    return {"version": version}


def traffic(stage: Stage) -> Facts:
    """Payments one by one over HTTP, labels every hour of their time."""
    stage.service.ensure()
    send(stage.service, stage.plan, stage.cut, stage.log, stage.narrator, f"{stage.scene.days} days of payments")
    sofar = tally(stage.plan, stage.log)
    stage.say(
        f"{sofar.requests:,} requests, {sofar.failed} failed, p50 {sofar.p50_ms:.2f} ms, p99 {sofar.p99_ms:.2f} ms; "
        f"{sofar.labels:,} labels told as they arrived"
    )
    return {}


def drain(stage: Stage) -> Facts:
    """Bring the service's journal into the lake while it runs."""
    with stage.narrator.waiting("Dagster job: journal -> events, labels, predictions; features again, offline"):
        stage.loop.ingest()
    stage.say(f"{audit.count(stage.lake, 'predictions'):,} predictions in the lake, with the vectors they were made of")
    return {}


def second_version(stage: Stage) -> Facts:
    """Ask the sensor on mature labels, and do what it asks for."""
    if stage.state.request is None:
        asked = stage.loop.volume_request()
        if isinstance(asked, str):
            raise LoopError(f"the volume sensor did not ask for a retrain: {asked}")
        stage.state.request = asked
        stage.notebook.write(stage.state)
    matured = stage.state.request.get(f"{EVIDENCE_TAG}matured", "enough")
    stage.say(f"the volume sensor asks for a retrain: {matured} labels matured, {stage.task.policy.volume:,} wanted")
    with stage.narrator.waiting("Dagster job: training set, candidate, evaluation, release, Bento"):
        failure = stage.loop.retrain(stage.state.request)
    return _promoted(stage, failure)


def pick_up(stage: Stage) -> Facts:
    """The running service finds the new champion by itself and answers the rest of the traffic with it."""
    wanted = stage.champion
    how = "started again," if stage.service.ensure() else "without a restart,"
    began = time.monotonic()
    with stage.narrator.waiting("waiting for the service to notice"):
        while (served := stage.service.version()) != wanted:
            if time.monotonic() - began > PICK_UP_SECONDS:
                raise LoopError(
                    f"the service still answers with version {served}, {PICK_UP_SECONDS:.0f} s after {wanted}"
                )
            time.sleep(0.1)
    stage.say(f"the service, {how} answers with version {served} after {time.monotonic() - began:.1f} s")
    send(stage.service, stage.plan, len(stage.plan), stage.log, stage.narrator, "the rest of the payments")
    by_version = tally(stage.plan, stage.log).versions
    stage.say(", ".join(f"version {version} answered {count:,}" for version, count in by_version.items()))
    return {}


def shuffled(stage: Stage) -> Facts:
    """A candidate that learnt from shuffled labels goes through the same gates."""
    number = refusal.register(stage)
    with stage.narrator.waiting("Dagster job: evaluation, release"):
        failure = stage.loop.evaluate(number)
    failed = [row.name for row in ledger.verdicts(stage.lake, number).values() if row.outcome != "pass"]
    decided = audit.decision(stage.lake, number)
    if decided is None:
        raise LoopError(failure or f"no decision about version {number} was recorded")
    stage.say(f"version {number} {decided.outcome} by {', '.join(failed)}: {decided.detail}")
    return {"version": number}


def closing(stage: Stage) -> Facts:
    """Bring in what came last, and compare every vector that was served with its recomputation."""
    with stage.narrator.waiting("Dagster job: journal -> lake; features again, offline"):
        stage.loop.ingest()
    skew = audit.skew(stage.lake, stage.task)
    stage.say(f"{skew.compared:,} feature values compared as 64-bit words, {skew.mismatched} differ")
    return {}


PHASES = (
    Phase("history", "History: payments and late labels before today", history),
    Phase("ingest", "Ingest: contracts, quarantine, labels, features", ingest),
    Phase("version_1", "Version 1: trained, judged, promoted", first_version),
    Phase("service", "Service: a process of its own", service),
    Phase("traffic", "Traffic over HTTP, labels arriving late", traffic),
    Phase("drain", "Drain: what was served becomes data", drain),
    Phase("version_2", "Version 2: enough labels have matured", second_version),
    Phase("pick_up", "Pick-up: the running service changes models", pick_up),
    Phase("refusal", "A bad candidate: trained on shuffled labels", shuffled),
    Phase("skew", "Skew: served against recomputed", closing),
)


def _promoted(stage: Stage, failure: str | None) -> Facts:
    """Say how the newest version fared.

    Raises:
        LoopError: it was not promoted; the message says which gates it did not pass, or what failed.
    """
    row = ledger.newest(stage.lake)
    if row is None:
        raise LoopError(failure or "no version was trained")
    if stage.champion != row.version:
        verdicts = ledger.verdicts(stage.lake, row.version).values()
        reasons = [f"{verdict.name}: {verdict.detail}" for verdict in verdicts if verdict.outcome != "pass"]
        raise LoopError("\n".join([f"version {row.version} was not promoted", *reasons, failure or ""]))
    if failure is not None:
        raise LoopError(f"version {row.version} was promoted, but not packaged: {failure}")
    quality = ledger.verdicts(stage.lake, row.version).get("quality")
    stage.say(
        f"version {row.version}: {row.rows:,} rows ({row.positives:,} frauds) of "
        f"{row.window_from:%Y-%m-%d} to {row.window_to:%Y-%m-%d}"
    )
    if quality is not None:
        stage.say(f"{quality.detail}: {quality.outcome}, promoted")
    return {"version": row.version}
