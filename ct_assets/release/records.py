"""Rows of the ledger: a model version, and a verdict or transition. How they are stored is in `ledger`."""

import hashlib
from datetime import datetime
from typing import Any, Literal

import msgspec

from ct_assets.gates.verdict import Verdict


class ModelVersion(msgspec.Struct, frozen=True, kw_only=True):
    """Everything needed to explain a version and to train it again.

    Windows are event time, left closed, right open. `data_from` is where the rows begin: later than `window_from` when
    history was shorter. `digest` names rows, learner and parameters: equal digests are equal models.
    `sha256`, `size` (bytes) and `model_id` lead to the model file, `run_id` to the MLflow run.
    """

    task: str
    version: int
    digest: str
    as_of: datetime
    window_from: datetime
    window_to: datetime
    data_from: datetime
    holdout_from: datetime
    holdout_to: datetime
    label_cutoff: datetime
    rows: int
    positives: int
    holdout_rows: int
    holdout_positives: int
    feature_hash: str
    feature_names: list[str]
    table_versions: dict[str, int]
    learner: str
    parameters: dict[str, Any]
    seed: int
    threads: int
    trigger: str
    evidence: dict[str, Any]
    metrics: dict[str, float]
    code_revision: str
    run_id: str
    model_id: str
    sha256: str
    size: int


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """One verdict of a gate on a version, or one decision about it, with its numbers.

    `kind` "verdict": `name` is the gate, `outcome` pass, fail or inconclusive.
    `kind` "decision": `name` is "release", `outcome` promoted, refused or retained (the champion stays).
    `champion` is who served when it was made, None for nobody. `run_id` is the run of the orchestrator.
    """

    decision_id: str
    task: str
    version: int
    kind: Literal["verdict", "decision"]
    name: str
    outcome: str
    detail: str
    champion: int | None
    as_of: datetime
    decided_at: datetime
    run_id: str
    method: str = ""
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    margin: float | None = None
    needs: int | None = None
    sample: dict[str, Any] = {}


def decision_id(task: str, version: int, name: str, champion: int | None, as_of: datetime) -> str:
    """Names a verdict or decision by what it is about, so that making it again makes the same one."""
    parts = [task, version, name, champion, as_of]
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:16]


def from_verdict(
    verdict: Verdict, *, task: str, version: int, champion: int | None, as_of: datetime, run_id: str
) -> Decision:
    """The row of a gate's verdict on `version` against `champion`, on labels known at `as_of`."""
    return Decision(
        decision_id=decision_id(task, version, verdict.name, champion, as_of),
        task=task,
        version=version,
        kind="verdict",
        name=verdict.name,
        outcome=verdict.outcome,
        detail=verdict.detail,
        champion=champion,
        as_of=as_of,
        decided_at=as_of,
        run_id=run_id,
        method=verdict.method,
        estimate=verdict.estimate,
        low=verdict.low,
        high=verdict.high,
        margin=verdict.margin,
        needs=verdict.needs,
        sample=dict(verdict.sample),
    )
