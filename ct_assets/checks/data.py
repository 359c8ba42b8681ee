"""Contracts on data: blocking checks on `events` and `labels`. Rules and the row split are in `ct_assets.lake`.

Faulty rows went to quarantine on the way in. What stops a run here is a broken delivery: a file refused whole, too
large a share of refused rows, or rows in the table that break a rule.
"""

import dagster as dg
import polars as pl

from ct_assets.assets import show
from ct_assets.assets.keys import key
from ct_assets.lake import delivery, expectations
from ct_assets.lake.contracts import StreamName
from ct_assets.lake.lake import Lake
from ct_assets.resources import LoopHome
from feature_defs.task import Task

# Great Expectations judges the newest rows up to this many; the split on the way in has judged every row.
SAMPLE_ROWS = 20_000


def data_checks(task: Task) -> list[dg.AssetChecksDefinition]:
    """`contract` on `events` and on `labels`."""
    return [_contract(task, stream) for stream in ("events", "labels")]


def _contract(task: Task, stream: StreamName) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=key(task, stream),
        name="contract",
        blocking=True,
        description=(
            f"The contract of {stream}: no file refused whole, at most {task.policy.quarantine_limit:.0%} of rows "
            "refused, and the newest rows keep every rule (Great Expectations, with Data Docs)."
        ),
    )
    def contract(context: dg.AssetCheckExecutionContext, loop: LoopHome) -> dg.AssetCheckResult:
        lake = loop.lake(task)
        event = context.instance.get_latest_materialization_event(key(task, stream))
        refused = _refused_files(event)
        account = delivery.total(lake, stream, run_id=_run_of(event))
        verdict = expectations.validate(task, stream, _newest(lake, stream), docs=loop.home.docs(task.name) / stream)
        problems = [
            *([f"{refused} files were refused whole, see the inbox's folder `refused`"] if refused else []),
            *(
                [f"{account.quarantined_share:.1%} of the rows of this delivery were refused"]
                if account.quarantined_share > task.policy.quarantine_limit
                else []
            ),
            *(f"{rule}: {rows} of the newest rows break it" for rule, rows in verdict.counts.items()),
            *(f"{rule} could not be evaluated: {error}" for rule, error in verdict.errors.items()),
        ]
        failed = not verdict.passed or refused or account.quarantined_share > task.policy.quarantine_limit
        return dg.AssetCheckResult(
            passed=not failed,
            severity=dg.AssetCheckSeverity.ERROR,
            description="; ".join(problems) or f"{verdict.rows:,} newest rows keep every rule",
            metadata=show.delivery(account)
            | {
                "rows_judged": verdict.rows,
                "limit": task.policy.quarantine_limit,
                "data_docs": dg.MetadataValue.path(str(verdict.docs)),
            },
        )

    return contract


def _newest(lake: Lake, stream: StreamName) -> pl.DataFrame:
    rows = lake.read(stream)
    return rows.top_k(SAMPLE_ROWS, by="available_at").collect(engine="streaming")


def _run_of(event: dg.EventLogEntry | None) -> str:
    return event.run_id if event is not None else ""


def _refused_files(event: dg.EventLogEntry | None) -> int:
    if event is None or event.asset_materialization is None:
        return 0
    return int((event.asset_materialization.tags or {}).get("ct/refused_files", "0"))
