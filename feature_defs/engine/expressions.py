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
    return named.select(expression.fill_nan(None) for expression in prepared(plan))


def prepared(plan: Plan) -> list[pl.Expr]:
    """The expressions of all row features, by the stream's own names: Float64, null or NaN where undefined."""
    return [row.expression.cast(pl.Float64).alias(row.name) for _, row in plan.rows]


def inputs(plan: Plan) -> set[str]:
    """Names that the expressions read: columns of the stream and window features."""
    return {name for _, row in plan.rows for name in row.expression.meta.root_names()}
