"""What was known about each event at a cut-off: the newest truth, and whether its time is up.

Statements are journalled and taken in elsewhere; which rows a model may learn from is the policy of `training`.
"""

from datetime import datetime

import polars as pl

from ct_assets.lake.tables import INSTANT
from feature_defs.task import Task


def labeled_events(
    task: Task, events: pl.DataFrame | pl.LazyFrame, labels: pl.DataFrame | pl.LazyFrame, as_of: datetime
) -> pl.DataFrame:
    """The events that had arrived by `as_of`, each with the newest truth that had arrived by then.

    `label` and `label_available_at` are null where there is none. `mature` says that the horizon has passed, which is
    what a training window goes by: early labels alone are a biased sample. A proxy is never a label.

    Returns:
        The columns of `events`, then `label` Int8, `label_available_at`, `mature`, `as_of`, in the order of `events`.
    """
    cut = pl.lit(as_of, INSTANT)
    known = events.lazy().filter(pl.col("available_at") <= cut)
    truths = (
        labels.lazy()
        .filter((pl.col("kind") == "truth") & (pl.col("available_at") <= cut))
        .select("event_id", pl.col("label").cast(pl.Int8), label_available_at="available_at")
        # An event hears only what was said after it arrived; online the same statement finds nothing to speak about.
        .join(known.select("event_id", "available_at"), on="event_id", how="inner")
        .filter(pl.col("available_at") < pl.col("label_available_at"))
        .group_by("event_id")
        .agg(pl.col("label", "label_available_at").sort_by("label_available_at").last())
    )
    horizon = pl.duration(microseconds=task.label.horizon_us)
    return (
        known.join(truths, on="event_id", how="left", maintain_order="left")
        .with_columns(mature=pl.col("event_time") + horizon <= cut, as_of=cut)
        .collect()
    )
