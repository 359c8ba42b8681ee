"""Assets of learning: which rows, the candidate trained on them, and what the gates make of it."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import msgspec

from ct_assets.assets import pictures, show
from ct_assets.assets.keys import CAUSE_TAG, EVIDENCE_TAG, OWNERS, RETRY, key, train_pool
from ct_assets.release import evaluation as gates
from ct_assets.release import promotion
from ct_assets.release.records import Decision, ModelVersion
from ct_assets.resources import LoopHome
from ct_assets.training import selection, training
from ct_assets.training.manifest import Manifest
from feature_defs.task import Task


class Judged(msgspec.Struct, frozen=True):
    """A version and the stored verdicts on it, as of an instant."""

    version: int
    as_of: datetime
    verdicts: list[Decision]


class SelectionConfig(dg.Config):
    """Config of `training_set`."""

    as_of: str | None = None
    """ISO instant up to which labels count; the task's own now by default."""


class EvaluationConfig(dg.Config):
    """Config of `evaluation`."""

    version: int | None = None
    """Version to judge; the newest candidate by default."""


def learning_assets(task: Task) -> list[dg.AssetsDefinition]:
    """`training_set`, `candidate` and `evaluation` of `task`."""
    common: dict[str, Any] = {"group_name": "learning", "owners": OWNERS, "pool": train_pool(task)}

    @dg.asset(
        key=key(task, "training_set"),
        deps=[key(task, "labeled_events"), key(task, "features")],
        kinds={"polars"},
        description=(
            f"Which rows a candidate learns from: {task.policy.window} of mature labels, and the newest "
            f"{task.policy.holdout} held out. A manifest with table versions, not a copy."
        ),
        **common,
    )
    def training_set(loop: LoopHome, config: SelectionConfig) -> dg.MaterializeResult[Manifest]:
        lake = loop.lake(task)
        as_of = datetime.fromisoformat(config.as_of).astimezone(UTC) if config.as_of else loop.now(task)
        try:
            found = selection.select(lake, task, as_of).manifest
        except selection.TrainingRefusedError as refused:
            raise dg.Failure(str(refused), allow_retries=False) from refused
        return dg.MaterializeResult(
            value=found, metadata=show.manifest(found), data_version=dg.DataVersion(found.digest)
        )

    @dg.asset(
        key=key(task, "candidate"),
        ins={"training_set": dg.AssetIn(key(task, "training_set"))},
        kinds={"xgboost", "mlflow"},
        description="A challenger trained on the training set. It serves nobody until `release` says so.",
        retry_policy=RETRY,
        **common,
    )
    def candidate(
        context: dg.AssetExecutionContext, loop: LoopHome, training_set: Manifest
    ) -> dg.MaterializeResult[ModelVersion]:
        lake = loop.lake(task)
        row = training.train(
            lake,
            loop.registry,
            task,
            selection.load(lake, task, training_set),
            trigger=context.run.tags.get(CAUSE_TAG, "manual"),
            evidence=_evidence(context.run.tags),
            run_id=context.run_id,
        )
        return dg.MaterializeResult(
            value=row,
            metadata=show.version(row) | pictures.importance(loop.registry, row),
            data_version=dg.DataVersion(row.sha256),
        )

    @dg.asset(
        key=key(task, "evaluation"),
        ins={"candidate": dg.AssetIn(key(task, "candidate"))},
        kinds={"polars"},
        description="The verdict of every gate on the candidate, against the champion on the newest mature holdout.",
        retry_policy=RETRY,
        **common,
    )
    def evaluation(
        context: dg.AssetExecutionContext, loop: LoopHome, candidate: ModelVersion, config: EvaluationConfig
    ) -> dg.MaterializeResult[Judged]:
        version = config.version or candidate.version
        lake = loop.lake(task)
        try:
            found = gates.evaluate(lake, loop.registry, task, version, as_of=loop.now(task), run_id=context.run_id)
        except gates.EvaluationError as refused:
            raise dg.Failure(str(refused), allow_retries=False) from refused
        if not found.passed:
            # The checks stop this run before `release`: that the champion stays is decided, and written down, here.
            promotion.conclude(lake, loop.registry, version, decided_at=found.as_of, run_id=context.run_id)
        return dg.MaterializeResult(
            value=Judged(version, found.as_of, list(found.verdicts)),
            metadata=show.judged(found) | pictures.evaluation(found),
        )

    return [training_set, candidate, evaluation]


def _evidence(tags: Mapping[str, str]) -> dict[str, str]:
    """What the trigger said, from the tags of its run."""
    return {name.removeprefix(EVIDENCE_TAG): text for name, text in tags.items() if name.startswith(EVIDENCE_TAG)}
