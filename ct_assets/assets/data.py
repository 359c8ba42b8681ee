"""Assets of the way in: events, labels, what is known of each event, and its vector. Learning starts in `learning`."""

from typing import Any

import dagster as dg
import polars as pl

from ct_assets import entity_state, intake
from ct_assets.assets import show
from ct_assets.assets.keys import OWNERS, RETRY, key, lake_pool
from ct_assets.lake import materialize
from ct_assets.lake.materialize import Materialized
from ct_assets.resources import LoopHome
from feature_defs.task import Task


def data_assets(task: Task) -> list[dg.AssetsDefinition]:
    """`events`, `labels`, `labeled_events`, `features` and `entity_state` of `task`."""
    common: dict[str, Any] = {"group_name": "data", "owners": OWNERS, "pool": lake_pool(task), "retry_policy": RETRY}

    @dg.asset(
        key=key(task, "events"),
        kinds={"deltalake", "polars"},
        description=f"Every event of {task.events.name} ever accepted, from files and from the service's journal.",
        **common,
    )
    def events(context: dg.AssetExecutionContext, loop: LoopHome) -> dg.MaterializeResult[None]:
        return _taken(intake.take_in(loop.home, loop.lake(task), "events", run_id=context.run_id), task, "events", loop)

    @dg.asset(
        key=key(task, "labels"),
        deps=[key(task, "events")],
        kinds={"deltalake", "polars"},
        description="What was said about how events turned out: late, sometimes corrected, never edited.",
        **common,
    )
    def labels(context: dg.AssetExecutionContext, loop: LoopHome) -> dg.MaterializeResult[None]:
        return _taken(intake.take_in(loop.home, loop.lake(task), "labels", run_id=context.run_id), task, "labels", loop)

    @dg.asset(
        key=key(task, "labeled_events"),
        deps=[key(task, "events"), key(task, "labels")],
        kinds={"deltalake", "polars"},
        description="Each event with the label known by now, and whether that label is mature.",
        **common,
    )
    def labeled_events(context: dg.AssetExecutionContext, loop: LoopHome) -> dg.MaterializeResult[None]:
        lake = loop.lake(task)
        return _brought(materialize.labeled(lake, loop.now(task), run_id=context.run_id))

    @dg.asset(
        key=key(task, "features"),
        deps=[key(task, "events"), key(task, "labels")],
        kinds={"deltalake", "polars"},
        description=f"The vector of each event as served or as it would have been: {len(task.feature_names)} in all.",
        code_version=task.feature_hash,
        metadata={"feature_hash": task.feature_hash},
        **common,
    )
    def features(context: dg.AssetExecutionContext, loop: LoopHome) -> dg.MaterializeResult[None]:
        lake = loop.lake(task)
        return _brought(materialize.features(lake, loop.now(task), run_id=context.run_id))

    @dg.asset(
        key=key(task, "entity_state"),
        deps=[key(task, "events"), key(task, "labels")],
        kinds={"polars"},
        description="What some window of some entity may still reach, at the watermark.",
        code_version=task.feature_hash,
        **common,
    )
    def state(loop: LoopHome) -> dg.MaterializeResult[None]:
        kept = entity_state.bring_up(loop.lake(task))
        shown = {"events": kept.events, "labels": kept.labels, "days_advanced": kept.days} if kept else {}
        return dg.MaterializeResult(metadata=shown)

    return [events, labels, labeled_events, features, state]


def _taken(taken: intake.Intake, task: Task, stream: str, loop: LoopHome) -> dg.MaterializeResult[None]:
    lake = loop.lake(task)
    refused = [{"file": name, "reason": reason} for name, reason in taken.refused.items()]
    return dg.MaterializeResult(
        metadata=show.delivery(taken.account)
        | {
            "refused_files": show.table(refused),
            "dagster/row_count": lake.read(stream).select(pl.len()).collect().item(),
            "delta_version": lake.version(stream),
        },
        tags={"ct/refused_files": str(len(refused))},
    )


def _brought(found: Materialized) -> dg.MaterializeResult[None]:
    days = f"{found.dates[0]} to {found.dates[-1]}" if found.dates else "none"
    return dg.MaterializeResult(
        metadata={
            "days_written": len(found.dates),
            "days": days,
            "rows_written": found.rows,
            "delta_version": found.version,
        }
    )
