"""Training a version: fit, register, ledger. Once per training digest, however often it is asked for or killed.

The order is registry first, ledger last: a version is one when the ledger says so, and what a killed run left in the
registry is found again by its digest.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version as installed
from typing import Any

import msgspec
import polars as pl

from ct_assets.gates import metrics
from ct_assets.lake.lake import Lake
from ct_assets.learners.boosted_trees import BoostedTreesModel, matrix
from ct_assets.learners.files import ModelFile
from ct_assets.release import ledger
from ct_assets.release.entry import Entry
from ct_assets.release.records import ModelVersion
from ct_assets.release.registry import Registry
from ct_assets.training.manifest import Manifest
from ct_assets.training.provenance import code_revision
from ct_assets.training.selection import TrainingSet
from feature_defs.task import Task

LEARNER = "boosted_trees"


def train(
    lake: Lake,
    registry: Registry,
    task: Task,
    data: TrainingSet,
    *,
    trigger: str,
    evidence: Mapping[str, Any] | None = None,
    run_id: str,
) -> ModelVersion:
    """The version of `data` and the task's learner: trained now, or found as trained before.

    `trigger` and `evidence` say why ("cadence", "volume", "hand", with the numbers); `run_id` is the orchestrator's.
    A version that serves nobody until `ct_assets.release.promotion` says so.
    """
    digest = training_digest(task, data.manifest)
    if known := ledger.by_digest(lake, digest):
        return known
    found = registry.find(task.name, digest)
    if found is None:
        model = BoostedTreesModel.fit(
            data.train.select(task.feature_names), data.train["label"].to_numpy(), task.learner
        )
        scores = quality(model, task, data.holdout)
        found, file = registry.register(task.name, model, _entry(lake, task, data.manifest, digest, scores, trigger))
    else:
        file = ModelFile.of(registry.file(found.model_id))
        model = BoostedTreesModel.load(file.path, file.sha256, threads=task.learner.threads)
        scores = quality(model, task, data.holdout)
    manifest = data.manifest
    row = ModelVersion(
        task=task.name,
        version=found.version,
        digest=digest,
        as_of=manifest.as_of,
        window_from=manifest.window_from,
        window_to=manifest.window_to,
        data_from=manifest.data_from,
        holdout_from=manifest.holdout_from,
        holdout_to=manifest.holdout_to,
        label_cutoff=manifest.label_cutoff,
        rows=manifest.rows,
        positives=manifest.positives,
        holdout_rows=manifest.holdout_rows,
        holdout_positives=manifest.holdout_positives,
        feature_hash=manifest.feature_hash,
        feature_names=list(task.feature_names),
        table_versions=manifest.table_versions,
        learner=f"{LEARNER} (xgboost {installed('xgboost')})",
        parameters=asdict(task.learner),
        seed=task.learner.seed,
        threads=task.learner.threads,
        trigger=trigger,
        evidence=dict(evidence or {}) | ({"alteration": manifest.alteration} if manifest.alteration else {}),
        metrics=scores,
        code_revision=code_revision(),
        run_id=found.run_id,
        model_id=found.model_id,
        sha256=file.sha256,
        size=file.size,
    )
    ledger.record_version(lake, row, run_id=run_id)
    return ledger.version(lake, found.version)


def training_digest(task: Task, manifest: Manifest) -> str:
    """Names what decides the bytes of a model: rows, learner, library, parameters with seed and threads."""
    parts = [manifest.digest, LEARNER, installed("xgboost"), asdict(task.learner)]
    return hashlib.sha256(msgspec.json.encode(parts, order="sorted")).hexdigest()[:32]


def quality(model: BoostedTreesModel, task: Task, holdout: pl.DataFrame) -> dict[str, float]:
    """Metrics of `model` on labelled rows; those that need both classes are left out without them."""
    labels, scores = holdout["label"].to_numpy(), model.predict(matrix(holdout.select(task.feature_names)))
    found = {
        "average_precision": metrics.average_precision(labels, scores),
        "roc_auc": metrics.roc_auc(labels, scores),
        "logloss": metrics.logloss(labels, scores),
    }
    return {name: value for name, value in found.items() if value == value}


def _entry(lake: Lake, task: Task, manifest: Manifest, digest: str, scores: Mapping[str, float], trigger: str) -> Entry:
    return Entry(
        digest=digest,
        run_name=f"{task.name} as of {manifest.as_of:%Y-%m-%d %H:%M}",
        params=asdict(task.learner),
        metrics=dict(scores) | {"rows": float(manifest.rows), "positives": float(manifest.positives)},
        tags={
            "ct.feature_hash": manifest.feature_hash,
            "ct.window": f"{manifest.window_from.isoformat()}/{manifest.window_to.isoformat()}",
            "ct.holdout": f"{manifest.holdout_from.isoformat()}/{manifest.holdout_to.isoformat()}",
            "ct.as_of": manifest.as_of.isoformat(),
            "ct.trigger": trigger,
        },
        datasets={table: (lake.location(table), version) for table, version in manifest.table_versions.items()},
    )
