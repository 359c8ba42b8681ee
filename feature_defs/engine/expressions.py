"""Row features: the task's Polars expressions, by the stream's own names, over requests and their window features.

The same expressions run on a million rows and on one.
"""

from collections.abc import Mapping

import polars as pl

from feature_defs.engine.plan import Plan


def evaluate(plan: Plan, requests: pl.DataFrame, windows: Mapping[str, pl.Series]) -> pl.DataFrame:
    """Row features of `requests` (canonical names) in definition order, Float64, null where undefined."""
    stream = plan.task.events
    named = requests.rename({"event_id": stream.key, "event_time": stream.time}).with_columns(**windows)
    return named.select(row.expression.cast(pl.Float64).fill_nan(None).alias(row.name) for _, row in plan.rows)
