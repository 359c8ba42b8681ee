"""When a task retrains: one decision for the schedule, the sensor and people. Plain functions of counted facts.

Facts are read from the lake by `standing`; who asks, and how a run is started, is not known here.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import polars as pl

from ct_assets.lake.lake import Lake
from ct_assets.release import ledger
from feature_defs import duration
from feature_defs.task import Task


@dataclass(frozen=True)
class Standing:
    """Where a task stands.

    `newest`: the newest version in the ledger, promoted or not, 0 when there is none.
    `learnt_to`: end of the event time that this version's holdout reached.
    `mature_to`: end of the event time whose labels are mature now.
    `waiting`: truth labels that matured between the two.
    """

    now: datetime | None
    newest: int
    learnt_to: datetime | None
    mature_to: datetime | None
    waiting: int


@dataclass(frozen=True)
class Trigger:
    """A reason to retrain, with the numbers that gave it."""

    cause: str
    after: int
    evidence: dict[str, str | int] = field(default_factory=dict)


def standing(task: Task, lake: Lake) -> Standing:
    """Count what the trigger decisions need. Reads two columns of the labelled events, pruned by date."""
    now = lake.watermark()
    if now is None:
        return Standing(None, 0, None, None, 0)
    version = ledger.newest(lake)
    mature_to = now - timedelta(microseconds=task.label.horizon_us)
    learnt_to = version.holdout_to if version else None
    labelled = lake.read("labeled_events", columns=["event_time", "label", "mature"])
    fresh = (pl.col("event_time") < mature_to) & pl.col("mature") & pl.col("label").is_not_null()
    if learnt_to is not None:
        fresh &= pl.col("event_time") >= learnt_to
    waiting = labelled.filter(fresh).select(pl.len()).collect().item()
    return Standing(now, version.version if version else 0, learnt_to, mature_to, waiting)


def volume(task: Task, at: Standing) -> Trigger | None:
    """Retrain when `policy.volume` labels have matured since the newest version."""
    if at.waiting < task.policy.volume:
        return None
    return Trigger("volume", at.newest, {"matured": at.waiting, "wanted": task.policy.volume})


def cadence(task: Task, at: Standing) -> Trigger | None:
    """Retrain when mature data reaches `policy.cadence` past the newest version's; at once when there is none."""
    if at.mature_to is None or at.waiting == 0:
        return None
    if at.learnt_to is None:
        return Trigger("cadence", at.newest, {"reason": "no version yet"})
    age = at.mature_to - at.learnt_to
    if age < timedelta(microseconds=duration.microseconds(task.policy.cadence)):
        return None
    return Trigger("cadence", at.newest, {"age_days": age.days, "cadence": task.policy.cadence})
