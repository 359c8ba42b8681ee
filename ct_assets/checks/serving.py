"""Checks on what was served."""

import dagster as dg

from ct_assets import skew as skews
from ct_assets.assets.keys import key
from ct_assets.resources import LoopHome
from feature_defs.task import Task


def serving_checks(task: Task) -> list[dg.AssetChecksDefinition]:
    """`no_skew` on `skew`."""

    @dg.asset_check(
        asset=key(task, "skew"),
        name="no_skew",
        blocking=True,
        description="Every served vector equals the recomputed one as 64-bit words: zero is the only pass.",
    )
    def no_skew(loop: LoopHome) -> dg.AssetCheckResult:
        found = skews.measure(loop.lake(task))
        worst = {name: count for name, count in found.by_feature.items() if count}
        return dg.AssetCheckResult(
            passed=found.passed,
            severity=dg.AssetCheckSeverity.ERROR,
            description=f"{found.mismatched:,} of {found.compared:,} values differ; {found.missing:,} events missing",
            metadata={
                "compared": found.compared,
                "mismatched": found.mismatched,
                "features": dg.MetadataValue.json(worst),
            },
        )

    return [no_skew]
