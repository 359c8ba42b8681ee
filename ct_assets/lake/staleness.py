"""Which days of a derived table may no longer say what its inputs say. Writing them again is in `materialize`."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256

import polars as pl

from ct_assets.lake import changes
from ct_assets.lake.duplicates import matching
from ct_assets.lake.lake import Lake
from ct_assets.lake.snapshot import Snapshot
from feature_defs.duration import DAY
from feature_defs.feature import Window
from feature_defs.stream import Label
from feature_defs.task import Task

_EPOCH = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True)
class Standing:
    """What a derived table was computed from: versions of its inputs, and the cut-off in microseconds; -1 for none."""

    events: int
    labels: int
    as_of: int

    @classmethod
    def of(cls, derived: Snapshot) -> "Standing":
        """Where the table stands; committed with its rows."""
        return cls(derived.mark("events"), derived.mark("labels"), derived.mark("as_of"))

    @classmethod
    def now(cls, lake: Lake, as_of: datetime) -> "Standing":
        """Where a table computed now, as of `as_of`, will stand."""
        micros = (as_of.astimezone(UTC) - _EPOCH) // timedelta(microseconds=1)
        return cls(lake.version("events"), lake.version("labels"), micros)

    @property
    def marks(self) -> dict[str, int]:
        """What to commit for `of` to find."""
        return {"events": self.events, "labels": self.labels, "as_of": self.as_of}

    @property
    def name(self) -> int:
        """A number that another standing does not share."""
        return int.from_bytes(sha256(repr(self).encode()).digest()[:7], "big")

    @property
    def cut(self) -> datetime:
        """The cut-off."""
        return _EPOCH + timedelta(microseconds=self.as_of)


@dataclass(frozen=True)
class Inputs:
    """Events and labels at pinned versions and one cut-off, and what is new in them since a table was computed."""

    lake: Lake
    before: Standing
    now: Standing

    def events(self) -> pl.LazyFrame:
        """All events that had arrived."""
        return self.lake.read("events", version=self.now.events, as_of=self.now.cut)

    def labels(self) -> pl.LazyFrame:
        """All label statements that had arrived."""
        return self.lake.read("labels", version=self.now.labels, as_of=self.now.cut)

    def days(self) -> dict[date, int]:
        """Events per day, arrived or not: what bounds the rows of a day."""
        return self.lake.snapshot("events", self.now.events).days() if self.now.events >= 0 else {}

    def touched(self, table: str) -> dict[date, int] | None:
        """Days of the rows that came in since, with their earliest arrival; None if that cannot be told."""
        found = changes.since(self.lake, table, self.before.labels if table == "labels" else self.before.events)
        return None if found is None else {day: at for day, at in found.items() if at <= self.now.as_of}

    @property
    def uncovered(self) -> pl.Expr:
        """Rows that were there, and that the later cut-off lets in."""
        return pl.col("available_at") > self.before.cut


def of_labels(inputs: Inputs) -> set[date]:
    """Days of `labeled_events` with new events, new statements, or events whose horizon has passed since."""
    arrived, said = inputs.touched("events"), inputs.touched("labels")
    if inputs.before.as_of < 0 or arrived is None or said is None:
        return _every_day(inputs)
    statements = inputs.labels().filter(inputs.uncovered).select("event_id").unique().collect(engine="streaming")
    heard = (
        matching(inputs.events(), statements, ["event_id"]).select("event_date").unique().collect(engine="streaming")
    )
    return _uncovered_days(inputs) | set(arrived) | set(said) | set(heard["event_date"]) | _matured(inputs)


def of_vectors(inputs: Inputs, features: Snapshot) -> set[date]:
    """Days of `features` with new events, or with vectors that should have counted rows which came in only now.

    The latter is history loaded in bulk, or one journal drained before the other: what arrives live arrives after every
    request that was served.
    """
    arrived, said = inputs.touched("events"), inputs.touched("labels")
    if inputs.before.as_of < 0 or arrived is None or said is None:
        return _every_day(inputs)
    latest = features.scan().group_by("event_date").agg(pl.col("available_at").max().dt.epoch("us"))
    asked = dict(latest.collect(engine="streaming").iter_rows())
    stale = _uncovered_days(inputs) | set(arrived)
    for window in inputs.lake.task.windows:
        nearest, farthest = _reach(window)
        for day, arrival in (said if isinstance(window.of, Label) else arrived).items():
            stale |= {at for at in _days(day + nearest, day + farthest) if asked.get(at, -1) > arrival}
    return stale


def lookback(task: Task) -> timedelta:
    """How long before a request rows can still count for it, in whole days."""
    return max((_reach(window)[1] for window in task.windows), default=timedelta(0))


def _reach(window: Window) -> tuple[timedelta, timedelta]:
    """Whole days from the day of a row to the first and the last day of requests that it may count for."""
    longest = window.delay_us + max(feature.width_us for feature in window.features)
    return timedelta(days=window.delay_us // DAY), timedelta(days=longest // DAY + 1)


def _matured(inputs: Inputs) -> set[date]:
    """Days with events whose horizon ends after the cut-off before, and not after this one."""
    if inputs.before.as_of == inputs.now.as_of:
        return set()
    horizon = timedelta(microseconds=inputs.lake.task.label.horizon_us)
    return set(_days((inputs.before.cut - horizon).date(), (inputs.now.cut - horizon).date()))


def _uncovered_days(inputs: Inputs) -> set[date]:
    days = inputs.events().filter(inputs.uncovered).select("event_date").unique()
    return set(days.collect(engine="streaming")["event_date"])


def _every_day(inputs: Inputs) -> set[date]:
    return set(inputs.events().select("event_date").unique().collect(engine="streaming")["event_date"])


def _days(first: date, last: date) -> Iterator[date]:
    for step in range((last - first).days + 1):
        yield first + timedelta(days=step)
