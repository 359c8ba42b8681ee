"""Plots for the metadata of assets. The drawing itself is in `ct_assets.gates.plots`."""

from typing import Any

from ct_assets.assets import show
from ct_assets.gates import plots
from ct_assets.learners.boosted_trees import BoostedTreesModel
from ct_assets.release.evaluation import Evaluation
from ct_assets.release.records import ModelVersion
from ct_assets.release.registry import Registry


def importance(registry: Registry, row: ModelVersion) -> dict[str, Any]:
    """Feature importance of a version."""
    model = BoostedTreesModel.load(registry.file(row.model_id), row.sha256)
    return {"importance": show.picture(plots.importance(model.importance()), "feature importance")}


def evaluation(found: Evaluation) -> dict[str, Any]:
    """Precision-recall and calibration on the holdout, beside the champion's; none without positives."""
    named = {"candidate": found.scores, "champion": found.champion_scores}
    scores = {name: values for name, values in named.items() if values is not None}
    if not scores or not found.labels.any():
        return {}
    return {
        "precision_recall": show.picture(plots.precision_recall(found.labels, scores), "precision and recall"),
        "calibration": show.picture(plots.reliability(found.labels, scores), "calibration"),
    }
