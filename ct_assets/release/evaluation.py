"""Judging a version: the gates on the newest mature holdout, their verdicts into the ledger and beside the MLflow run.

What a gate computes is in `ct_assets.gates`; what its verdict leads to is in `promotion`.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ct_assets.gates.contract import model_contract
from ct_assets.gates.quality import NAME as QUALITY
from ct_assets.gates.quality import better_than_constant, non_inferior
from ct_assets.gates.verdict import Verdict
from ct_assets.lake.lake import Lake
from ct_assets.learners.boosted_trees import BoostedTreesModel, matrix
from ct_assets.learners.files import ModelFile
from ct_assets.release import ledger
from ct_assets.release.records import Decision, ModelVersion, from_verdict
from ct_assets.release.registry import Registry
from ct_assets.training.selection import Windows, holdout
from feature_defs.task import Task

Array = NDArray[np.float64]


class EvaluationError(ValueError):
    """A version cannot be judged on the holdout there is; the message says why."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What was found about a version, and the scores it was found on; `champion` is None when there was none.

    `labels`, `scores` and `champion_scores` have shape (holdout rows,); scores are None for a model that reads another
    feature set than the task's.
    """

    candidate: ModelVersion
    champion: ModelVersion | None
    as_of: datetime
    verdicts: tuple[Decision, ...]
    labels: NDArray[np.int8]
    scores: Array | None
    champion_scores: Array | None

    @property
    def passed(self) -> bool:
        """Whether every verdict is a pass."""
        return all(verdict.outcome == "pass" for verdict in self.verdicts)


def evaluate(lake: Lake, registry: Registry, task: Task, version: int, *, as_of: datetime, run_id: str) -> Evaluation:
    """Run every gate on `version` with labels known at `as_of`, and store the verdicts.

    Doing it again as of the same instant stores nothing new.

    Raises:
        EvaluationError: the candidate or the champion learnt from rows of the holdout.
        UnknownVersionError: the ledger has no such version.
    """
    candidate, champion = ledger.version(lake, version), ledger.rival(lake, version)
    for row in (candidate, champion):
        if row is not None:
            _refuse_overlap(task, row, as_of)
    rows = holdout(lake, task, as_of)
    vectors, labels = matrix(rows.select(task.feature_names)), rows["label"].to_numpy()
    file = ModelFile(registry.file(candidate.model_id), candidate.sha256, candidate.size)
    contract = model_contract(
        file,
        BoostedTreesModel.load,
        feature_names=task.feature_names,
        holdout=vectors,
        max_bytes=task.gates.max_bytes,
        max_row_us=task.gates.max_row_us,
    )
    scores, champion_scores = (_scores(registry, task, row, vectors) for row in (candidate, champion))
    clusters = {entity.name: rows[entity.key].to_numpy() for entity in task.gates.cluster}
    quality = _quality(task, champion, labels, scores, champion_scores, clusters)
    number = None if champion is None else champion.version
    made = [
        from_verdict(verdict, task=task.name, version=version, champion=number, as_of=as_of, run_id=run_id)
        for verdict in (contract, quality)
    ]
    ledger.record_verdicts(lake, made, run_id=run_id)
    # What counts is what is stored: when this was done before, the verdicts of then.
    ids = {row.decision_id for row in made}
    verdicts = tuple(row for row in ledger.decisions(lake) if row.decision_id in ids)
    registry.annotate(
        task.name, version, metrics={}, tags={f"ct.gate.{verdict.name}": verdict.outcome for verdict in verdicts}
    )
    return Evaluation(candidate, champion, as_of, verdicts, labels, scores, champion_scores)


def _scores(registry: Registry, task: Task, row: ModelVersion | None, vectors: Array) -> Array | None:
    """Scores of a version on the task's vectors; None when there is no version, or it reads other features."""
    if row is None or row.feature_hash != task.feature_hash:
        return None
    return BoostedTreesModel.load(registry.file(row.model_id), row.sha256).predict(vectors)


def _quality(
    task: Task,
    champion: ModelVersion | None,
    labels: NDArray[np.int8],
    scores: Array | None,
    champion_scores: Array | None,
    clusters: dict[str, NDArray[np.generic]],
) -> Verdict:
    gates = task.gates
    if scores is None or (champion is not None and champion_scores is None):
        who = "the candidate" if scores is None else f"the champion, version {champion.version},"  # type: ignore[union-attr]
        return Verdict(
            name=QUALITY,
            outcome="inconclusive",
            method="difference in average precision",
            margin=gates.margin,
            detail=f"{who} reads another feature set than {task.feature_hash}, the one the holdout's vectors belong to",
        )
    judge = (
        partial(better_than_constant, labels)
        if champion_scores is None
        else partial(non_inferior, labels, champion_scores)
    )
    return judge(
        scores, clusters=clusters, margin=gates.margin, replicates=gates.replicates, confidence=gates.confidence
    )


def _refuse_overlap(task: Task, row: ModelVersion, as_of: datetime) -> None:
    start = Windows.of(task, as_of).train_to
    if row.window_to > start:
        raise EvaluationError(
            f"{task.name} version {row.version} learnt from events up to {row.window_to:%Y-%m-%d %H:%M} UTC, "
            f"the holdout as of {as_of:%Y-%m-%d %H:%M} UTC begins at {start:%Y-%m-%d %H:%M} UTC: evaluate as of "
            f"{row.as_of:%Y-%m-%d %H:%M} UTC or later"
        )
