"""Checks on what was served."""

import dagster as dg

from ct_assets.assets.keys import key
from feature_defs.engine.skew import Skew
from feature_defs.task import Task


def serving_checks(task: Task) -> list[dg.AssetChecksDefinition]:
    """`no_skew` on `skew`."""

    @dg.asset_check(
        asset=key(task, "skew"),
        name="no_skew",
        blocking=True,
        description="Every served vector equals the recomputed one as 64-bit words: zero is the only pass.",
    )
    def no_skew(skew: Skew) -> dg.AssetCheckResult:
        worst = {name: count for name, count in skew.by_feature.items() if count}
        return dg.AssetCheckResult(
            passed=skew.passed,
            severity=dg.AssetCheckSeverity.ERROR,
            description=f"{skew.mismatched:,} of {skew.compared:,} values differ; {skew.missing:,} events missing",
            metadata={
                "compared": skew.compared,
                "mismatched": skew.mismatched,
                "features": dg.MetadataValue.json(worst),
            },
        )

    return [no_skew]
