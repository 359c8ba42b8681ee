"""Skew in production: vectors that were served against vectors that the lake gives for the same events.

How two sets of vectors are compared is in `feature_defs.engine.skew`.
"""

import polars as pl

from ct_assets.lake.lake import Lake
from feature_defs.engine.skew import Skew, compare


def measure(lake: Lake) -> Skew:
    """Compare every served vector that the table of features reaches. Retries answer from one vector: one row each."""
    task = lake.task
    columns = ["event_id", "available_at", *task.feature_names]
    ours = pl.col("feature_hash") == task.feature_hash
    features = lake.read("features", where=ours)
    reached = features.select(pl.col("available_at").max()).collect(engine="streaming").item()
    served = (
        lake.read("predictions", where=ours & (pl.col("available_at") <= reached), columns=columns)
        .unique("event_id")
        .collect()
    )
    again = features.select(columns).join(served.lazy().select("event_id"), on="event_id", how="semi").collect()
    return compare(served, again, task.feature_names)
