"""Gates on candidates: one blocking check per gate, on `evaluation`. The statistics are in `ct_assets.gates`.

A check stops its own run and shows people why. The proof is the stored verdict, which `release` reads again.
"""

import dagster as dg

from ct_assets.assets import show
from ct_assets.assets.keys import key
from ct_assets.assets.learning import Judged
from ct_assets.release.promotion import REQUIRED
from feature_defs.task import Task

ABOUT = {
    "contract": "The model's contract: its features, finite and repeatable scores, size, latency.",
    "quality": "Average precision on the newest mature holdout: no worse than the champion's by more than the margin.",
}


def gate_checks(task: Task) -> list[dg.AssetChecksDefinition]:
    """A check for every gate without whose pass nothing is released."""
    return [_gate(task, name) for name in REQUIRED]


def _gate(task: Task, name: str) -> dg.AssetChecksDefinition:
    @dg.asset_check(asset=key(task, "evaluation"), name=name, blocking=True, description=ABOUT[name])
    def gate(evaluation: Judged) -> dg.AssetCheckResult:
        verdict = next(row for row in evaluation.verdicts if row.name == name)
        return dg.AssetCheckResult(
            passed=verdict.outcome == "pass",
            severity=dg.AssetCheckSeverity.ERROR,
            description=f"version {verdict.version}: {verdict.outcome}. {verdict.detail}",
            metadata=show.verdict(verdict),
        )

    return gate
