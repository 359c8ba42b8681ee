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

NOTHING = Skew(compared=0, mismatched=0, missing=0, extra=0, by_feature={})


def measure(lake: Lake) -> Skew:
    """Compare every served vector that the table of features reaches. Retries answer from one vector: one row each.

    A payment of history that was scored again was asked about at another instant than its row in the table; its vector
    is computed for that instant.
    """
    task = lake.task
    columns = ["event_id", "available_at", *task.feature_names]
    ours = pl.col("feature_hash") == task.feature_hash
    features = lake.read("features", where=ours)
    reached = features.select(pl.col("available_at").max()).collect(engine="streaming").item()
    if reached is None:
        return NOTHING
    served = (
        lake.read("predictions", where=ours & (pl.col("available_at") <= reached))
        .unique("event_id")
        .collect(engine="streaming")
    )
    moments = served.lazy().select("event_id", "available_at")
    again = features.select(columns).join(moments, on=["event_id", "available_at"], how="semi").collect()
    moved = served.join(again, on="event_id", how="anti")
    found = [again.drop("available_at"), *([_recomputed(lake, moved)] if len(moved) else [])]
    return compare(served, pl.concat(found), task.feature_names)


def _recomputed(lake: Lake, predictions: pl.DataFrame) -> pl.DataFrame:
    """The vectors of predictions, from the requests they answered."""
    task = lake.task
    values = pl.Struct({name: column.dtype() for name, column in task.events.columns.items()})
    requests = predictions.select(
        "event_id", "event_time", "available_at", pl.col("request").str.json_decode(values).alias("values")
    ).unnest("values")
    first = requests["event_time"].min().date() - lookback(task)  # type: ignore[union-attr]
    events = lake.read("events", where=pl.col("event_date") >= first).collect(engine="streaming")
    labels = lake.read("labels").join(events.lazy().select("event_id"), on="event_id", how="semi")
    return offline.compute(task, requests, events, labels.collect(engine="streaming"))


def lateness(lake: Lake) -> Skew:
    """Compare the vectors served on the newest day of predictions with those of `as_if_on_time`.

    One day, so that its cost does not grow with history; events that arrived later, up to the watermark, count.
    """
    task = lake.task
    ours = pl.col("feature_hash") == task.feature_hash
    predictions = lake.read("predictions", where=ours)
    newest = predictions.select(pl.col("event_date").max()).collect(engine="streaming").item()
    if newest is None:
        return NOTHING
    served = (
        predictions.filter(pl.col("event_date") == newest)
        .select("event_id", *task.feature_names)
        .unique("event_id")
        .join(lake.read("events", columns=["event_id"]), on="event_id", how="semi")
        .collect(engine="streaming")
    )
    if served.is_empty():
        return NOTHING
    first = newest - lookback(task) - timedelta(days=1)
    events = lake.read("events", where=pl.col("event_date").is_between(first, newest)).collect(engine="streaming")
    requests = events.join(served, on="event_id", how="semi")
    labels = lake.read("labels").join(events.lazy().select("event_id"), on="event_id", how="semi").collect()
    prompt = offline.compute(task, requests, events, labels, mode="as_if_on_time")
    return compare(served, prompt, task.feature_names)
