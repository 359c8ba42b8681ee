"""Skew in production: vectors that were served against vectors that the lake gives for the same events.

Lateness is reported beside it: how served vectors differ from those of a world in which nothing comes late, which is
about the data and not about us. How two sets of vectors are compared is in `feature_defs.engine.skew`.
"""

from datetime import timedelta

import polars as pl

from ct_assets.lake.lake import Lake
from ct_assets.lake.staleness import lookback
from feature_defs.engine import offline
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


def lateness(lake: Lake) -> Skew:
    """Compare the vectors served on the newest day of predictions with those of `as_if_on_time`.

    One day, so that its cost does not grow with history; events that arrived later, up to the watermark, count.
    """
    task = lake.task
    ours = pl.col("feature_hash") == task.feature_hash
    predictions = lake.read("predictions", where=ours)
    newest = predictions.select(pl.col("event_date").max()).collect(engine="streaming").item()
    served = (
        predictions.filter(pl.col("event_date") == newest)
        .select("event_id", *task.feature_names)
        .unique("event_id")
        .join(lake.read("events", columns=["event_id"]), on="event_id", how="semi")
        .collect(engine="streaming")
    )
    if served.is_empty():
        return compare(served, served, task.feature_names)
    first = newest - lookback(task) - timedelta(days=1)
    events = lake.read("events", where=pl.col("event_date").is_between(first, newest)).collect(engine="streaming")
    requests = events.join(served, on="event_id", how="semi")
    labels = lake.read("labels").join(events.lazy().select("event_id"), on="event_id", how="semi").collect()
    prompt = offline.compute(task, requests, events, labels, mode="as_if_on_time")
    return compare(served, prompt, task.feature_names)
