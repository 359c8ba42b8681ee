"""Assets of the release: the decision about a candidate, and the Bento by which the service comes to know it."""

from typing import Any

import dagster as dg

from ct_assets.assets import show
from ct_assets.assets.keys import OWNERS, key, train_pool
from ct_assets.assets.learning import Judged
from ct_assets.release import ledger, package, plan, promotion
from ct_assets.release.records import Decision
from ct_assets.resources import LoopHome
from feature_defs.task import Task


def release_assets(task: Task) -> list[dg.AssetsDefinition]:
    """`release` and `bento` of `task`."""
    common: dict[str, Any] = {"group_name": "release", "owners": OWNERS, "pool": train_pool(task)}

    @dg.asset(
        key=key(task, "release"),
        ins={"evaluation": dg.AssetIn(key(task, "evaluation"))},
        kinds={"mlflow"},
        description=(
            "Makes the judged version champion, after reading its stored verdicts again. Without a pass of every "
            "required gate it refuses, however it was started."
        ),
        **common,
    )
    def release(
        context: dg.AssetExecutionContext, loop: LoopHome, evaluation: Judged
    ) -> dg.MaterializeResult[Decision]:
        lake = loop.lake(task)
        try:
            decision = promotion.promote(
                lake, loop.registry, evaluation.version, decided_at=evaluation.as_of, run_id=context.run_id
            )
        except promotion.RefusedError as refused:
            raise dg.Failure(
                str(refused),
                metadata={"verdicts": show.decisions(list(ledger.verdicts(lake, evaluation.version).values()))},
                allow_retries=False,
            ) from refused
        return dg.MaterializeResult(
            value=decision,
            metadata={
                "version": decision.version,
                "outcome": decision.outcome,
                "before": decision.champion or 0,
                "decisions": show.decisions([row for row in ledger.decisions(lake) if row.version == decision.version]),
            },
        )

    @dg.asset(
        key=key(task, "bento"),
        deps=[key(task, "release")],
        kinds={"bentoml"},
        description="The champion's Bento, built and asked for one prediction; then the service's plan names it.",
        **common,
    )
    def bento(loop: LoopHome) -> dg.MaterializeResult[None]:
        lake = loop.lake(task)
        champion = ledger.champion(lake)
        if champion is None:
            raise dg.Failure(f"{task.name} has no champion yet: materialize release first", allow_retries=False)
        decision = ledger.promotions(lake)[-1]
        wanted = plan.ServingPlan(
            task=task.name,
            version=champion.version,
            model=plan.model_path(champion.version),
            sha256=champion.sha256,
            feature_hash=champion.feature_hash,
            feature_names=tuple(champion.feature_names),
            threshold=task.policy.threshold,
            decision_id=decision.decision_id,
            decided_at=decision.decided_at,
        )
        model = loop.registry.file(champion.model_id)
        tag = package.build(loop.home, wanted, model)
        plan.publish(loop.home.serving(task.name), wanted, model)
        return dg.MaterializeResult(
            metadata={
                "bento": tag,
                "version": champion.version,
                "sha256": champion.sha256,
                "decision": decision.decision_id,
            }
        )

    return [release, bento]
