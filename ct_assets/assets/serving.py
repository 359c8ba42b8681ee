"""Assets of the way back: what was served, and whether it was what training would have computed."""

from typing import Any

import dagster as dg
import polars as pl

from ct_assets import intake
from ct_assets import online_store as stores
from ct_assets import skew as skews
from ct_assets.assets import show
from ct_assets.assets.keys import OWNERS, RETRY, key, lake_pool
from ct_assets.resources import LoopHome
from feature_defs.engine.skew import Skew
from feature_defs.task import Task


def serving_assets(task: Task) -> list[dg.AssetsDefinition]:
    """`online_store`, `predictions` and `skew` of `task`."""
    common: dict[str, Any] = {"group_name": "serving", "owners": OWNERS, "pool": lake_pool(task), "retry_policy": RETRY}

    @dg.asset(
        key=key(task, "online_store"),
        deps=[key(task, "entity_state")],
        kinds={"lmdb"},
        description="Feature state of every entity for the service, rebuilt when rows reached the lake by file.",
        **common,
    )
    def online_store(loop: LoopHome) -> dg.MaterializeResult[None]:
        done = stores.bring_up(loop.home, loop.lake(task))
        return dg.MaterializeResult(
            metadata={"rebuilt": done.rebuilt, "events": done.events, "labels": done.labels, "store": done.store_id}
        )

    @dg.asset(
        key=key(task, "predictions"),
        deps=[key(task, "events"), key(task, "bento")],
        kinds={"deltalake", "bentoml"},
        description="Every prediction that was served, with its request, its vector and the version that made it.",
        **common,
    )
    def predictions(context: dg.AssetExecutionContext, loop: LoopHome) -> dg.MaterializeResult[None]:
        lake = loop.lake(task)
        account = intake.drain_journal(loop.home, lake, "predictions", run_id=context.run_id)
        served = lake.read("predictions", columns=["version"]).group_by("version").len("predictions").sort("version")
        return dg.MaterializeResult(
            metadata=show.delivery(account)
            | {
                "by_version": show.table(served.collect().to_dicts()),
                "delta_version": lake.version("predictions"),
                "dagster/row_count": lake.read("predictions").select(pl.len()).collect().item(),
            }
        )

    @dg.asset(
        key=key(task, "skew"),
        deps=[key(task, "predictions"), key(task, "features")],
        kinds={"polars"},
        description="Served vectors against the vectors that training computes for the same events, bit by bit.",
        **common,
    )
    def skew(loop: LoopHome) -> dg.MaterializeResult[Skew]:
        found, late = skews.measure(loop.lake(task)), skews.lateness(loop.lake(task))
        rows = [{"feature": name, "mismatched": count} for name, count in found.by_feature.items()]
        return dg.MaterializeResult(
            value=found,
            metadata={
                "compared": found.compared,
                "mismatched": found.mismatched,
                "missing": found.missing,
                "extra": found.extra,
                "by_feature": show.table(rows),
                # About the data, not about us: what the newest day would have seen had nothing come late.
                "lateness_compared": late.compared,
                "lateness_differing": late.mismatched,
            },
        )

    return [online_store, predictions, skew]
