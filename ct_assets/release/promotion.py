"""Who becomes champion. Every path to a promotion goes through here and stands on verdicts that are stored.

A blocking check holds within one run of the orchestrator only; the ledger holds always. What the gates measure is in
`ct_assets.gates`; that the service follows is the serving plan's concern (`plan`).
"""

from datetime import datetime
from typing import TYPE_CHECKING

from ct_assets.gates import contract, quality
from ct_assets.release import ledger
from ct_assets.release.records import Decision, ModelVersion, decision_id
from ct_assets.release.registry import Registry

if TYPE_CHECKING:
    from ct_assets.lake.lake import Lake

# Gates without whose verdict nothing is promoted.
REQUIRED = (contract.NAME, quality.NAME)

# All promotions of a task share one sequence in Delta: of two at once, one finds its number taken.
SEQUENCE = "promotions"


class RefusedError(Exception):
    """A version may not become champion; the message says what it lacks."""


def promote(lake: "Lake", registry: Registry, version: int, *, decided_at: datetime, run_id: str) -> Decision:
    """Make `version` the champion: the decision into the ledger first, then the aliases.

    Doing it again finds the decision made and sets the aliases by the ledger, also after a kill between the two. If
    another version was promoted since, that one stays champion.

    Raises:
        RefusedError: a required verdict is missing, was not passed, or was given against another champion; the version
            was refused before; or `decided_at` lies before the last promotion.
        UnknownVersionError: the ledger has no such version.
    """
    row = ledger.version(lake, version)
    history = ledger.promotions(lake)
    made = _of(history, version)
    if made is None:
        if objections := _objections(lake, row, history, decided_at):
            raise RefusedError(f"{row.task} version {version} is not promoted: {'; '.join(objections)}")
        made = _decision(lake, row, "promoted", "every gate passed", decided_at=decided_at, run_id=run_id)
        if not ledger.record_decision(lake, made, SEQUENCE, len(history) + 1):
            # The number is taken: by this very promotion made elsewhere, or by another version's.
            made = _of(ledger.promotions(lake), version)
            if made is None:
                raise RefusedError(
                    f"{row.task} version {version} is not promoted: another version was promoted at the same moment; "
                    "evaluate again, against that one"
                )
    align(lake, registry)
    return made


def conclude(lake: "Lake", registry: Registry, version: int, *, decided_at: datetime, run_id: str) -> Decision:
    """End an evaluation: promote `version` if every verdict is a pass, else record why not.

    `refused` when a gate failed; `retained` when a verdict is inconclusive: the champion stays until more labels say
    otherwise. Doing it again returns the same decision.

    Raises:
        RefusedError: there is nothing to conclude from: a verdict is missing or was given against another champion.
        UnknownVersionError: the ledger has no such version.
    """
    row = ledger.version(lake, version)
    history = ledger.promotions(lake)
    verdicts = ledger.verdicts(lake, version)
    short = [verdict for verdict in verdicts.values() if verdict.outcome != "pass"]
    if _of(history, version) or not short or not set(REQUIRED) <= set(verdicts):
        return promote(lake, registry, version, decided_at=decided_at, run_id=run_id)
    if stale := _stale(lake, row, history):
        raise RefusedError(f"{row.task} version {version} is not concluded: {'; '.join(stale)}")
    outcome = "refused" if any(verdict.outcome == "fail" for verdict in short) else "retained"
    detail = "; ".join(f"{verdict.name}: {verdict.detail}" for verdict in short)
    decision = _decision(lake, row, outcome, detail, decided_at=decided_at, run_id=run_id)
    if not ledger.record_decision(lake, decision, f"decision:{decision.decision_id}", 1):
        return next(past for past in ledger.decisions(lake) if past.decision_id == decision.decision_id)
    return decision


def _of(history: list[Decision], version: int) -> Decision | None:
    return next((past for past in reversed(history) if past.version == version), None)


def align(lake: "Lake", registry: Registry) -> None:
    """Set MLflow's aliases to what the ledger says: `champion` and, before it, `previous`."""
    history = ledger.promotions(lake)
    if not history:
        return
    champion = history[-1]
    registry.set_aliases(champion.task, champion=champion.version, previous=champion.champion)


def _objections(lake: "Lake", row: ModelVersion, history: list[Decision], decided_at: datetime) -> list[str]:
    found = ledger.verdicts(lake, row.version)
    missing = [f"no verdict of gate {name!r} is stored: run evaluation" for name in REQUIRED if name not in found]
    failed = [
        f"gate {verdict.name!r} says {verdict.outcome}: {verdict.detail}"
        for verdict in found.values()
        if verdict.outcome != "pass"
    ]
    objections = [*missing, *failed, *_stale(lake, row, history)]
    refusals = [past for past in ledger.decisions(lake) if past.version == row.version and past.outcome == "refused"]
    if refusals:
        objections.append(f"it was refused at {refusals[-1].decided_at:%Y-%m-%d %H:%M} UTC: train a new version")
    # Equal instants are told apart by version, here as in the order of the ledger.
    if history and (decided_at, row.version) < (history[-1].decided_at, history[-1].version):
        objections.append(
            f"{decided_at:%Y-%m-%d %H:%M} UTC lies before the last promotion, "
            f"version {history[-1].version} at {history[-1].decided_at:%Y-%m-%d %H:%M} UTC"
        )
    return objections


def _stale(lake: "Lake", row: ModelVersion, history: list[Decision]) -> list[str]:
    champion = history[-1].version if history else None
    return [
        f"gate {verdict.name!r} judged it against {_named(verdict.champion)}, but the champion is {_named(champion)}: "
        "run evaluation again"
        for verdict in ledger.verdicts(lake, row.version).values()
        if verdict.champion != champion
    ]


def _named(version: int | None) -> str:
    return "nobody" if version is None else f"version {version}"


def _decision(
    lake: "Lake", row: ModelVersion, outcome: str, detail: str, *, decided_at: datetime, run_id: str
) -> Decision:
    found = ledger.verdicts(lake, row.version)
    champion = next(iter(found.values())).champion
    as_of = max(verdict.as_of for verdict in found.values())
    return Decision(
        decision_id=decision_id(row.task, row.version, "release", champion, as_of),
        task=row.task,
        version=row.version,
        kind="decision",
        name="release",
        outcome=outcome,
        detail=detail,
        champion=champion,
        as_of=as_of,
        decided_at=decided_at,
        run_id=run_id,
        sample={verdict.name: verdict.decision_id for verdict in found.values()},
    )
