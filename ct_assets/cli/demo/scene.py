"""The input of the demo: payments and labels cut at an instant into history and what is still to come.

Both sources end in the same frames, by the stream's own names: a simulated world, or a file of real payments.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl

from ct_assets.simulator.faults import Faults, Span
from ct_assets.simulator.payments import Simulation, simulate
from feature_defs.engine import statements
from feature_defs.task import Task

HISTORY_DAYS = 75
# New to the first version, whose window and holdout end two weeks before now; the second version has a week of it.
ATTACK_DAYS_BEFORE = 14
# Enough to compare and to wait for, without making people wait.
WANTED_REQUESTS = 20_000
DAYS_RANGE = (3, 7)


class SceneError(ValueError):
    """The data cannot carry a demo; the message says what is missing."""


@dataclass(frozen=True)
class Scene:
    """Everything that will happen, cut at `now`.

    `history`, `traffic`: the stream's key, time and columns; traffic in order of delivery, all of it from `now` on.
    `told`, `telling`: the key, the label column and its time column, before `now` and from `now` up to `ends`.
    """

    task: Task
    source: str
    now: datetime
    ends: datetime
    history: pl.DataFrame
    told: pl.DataFrame
    traffic: pl.DataFrame
    telling: pl.DataFrame

    @property
    def days(self) -> int:
        """Days of traffic."""
        return round((self.ends - self.now) / timedelta(days=1))

    @property
    def matures(self) -> int:
        """Events whose label matures during the traffic and whose label has come by then."""
        horizon = timedelta(microseconds=self.task.label.horizon_us)
        time, key = self.task.events.time, self.task.events.key
        known = pl.concat([self.told[key], self.telling[key]]).unique()
        happened = pl.concat([frame.select(key, time) for frame in (self.history, self.traffic)]).unique(key)
        due = pl.col(time).is_between(self.now - horizon, self.ends - horizon, closed="left")
        return happened.filter(due & pl.col(key).is_in(known.implode())).height


def simulated(task: Task, days: int | None, seed: int) -> Scene:
    """A world of 1,250 cards with a card-testing attack, a bad day of missing amounts, late and repeated deliveries."""
    days = days or DAYS_RANGE[1]
    simulation = Simulation(
        seed=seed,
        days=HISTORY_DAYS + days,
        faults=Faults(
            card_testing_from=HISTORY_DAYS - ATTACK_DAYS_BEFORE,
            null_burst=Span(HISTORY_DAYS // 2, 1),
            duplicated=0.002,
            late=0.005,
        ),
    )
    payments = simulate(simulation)
    now = simulation.midnight + timedelta(days=HISTORY_DAYS)
    scene = _cut(
        task,
        f"simulated payments, seed {seed}",
        payments.events.rename({"delivered_at": "delivered"}),
        payments.labels,
        now,
        now + timedelta(days=days),
    )
    return _checked(scene)


def from_file(task: Task, path: Path, days: int | None) -> Scene:
    """The payments of a Parquet or CSV file; its last `days` are the traffic.

    Raises:
        SceneError: the file cannot be read, lacks columns, or does not reach far enough.
    """
    events, label = task.events, task.label
    frame = _read(path)
    if missing := sorted({events.key, events.time, label.column, *events.columns} - set(frame.columns)):
        raise SceneError(
            f"{path}: columns {missing} are missing; task {task.name} needs {events.key}, {events.time}, "
            f"{', '.join(events.columns)} and the label {label.column}"
        )
    try:
        instant = pl.col(events.time).cast(pl.Datetime("us", "UTC"))
        frame = frame.with_columns(instant).with_columns(delivered=events.time).sort("delivered", maintain_order=True)
        told = statements.from_rule(task, frame.drop_nulls(events.time))
    except (pl.exceptions.PolarsError, ValueError) as wrong:
        raise SceneError(f"{path}: {wrong}") from wrong
    first, last = frame["delivered"].min(), frame["delivered"].max()
    if not isinstance(first, datetime) or not isinstance(last, datetime):
        raise SceneError(f"{path}: no row has a {events.time}; nothing can happen")
    ends = datetime(last.year, last.month, last.day, tzinfo=UTC) + timedelta(days=1)
    per_day = len(frame) / max(1.0, (ends - first) / timedelta(days=1))
    days = days or max(DAYS_RANGE[0], min(DAYS_RANGE[1], int(WANTED_REQUESTS / per_day)))
    names = {"event_id": events.key, "label": label.column, "available_at": label.time_column}
    return _checked(_cut(task, path.name, frame, told.rename(names), ends - timedelta(days=days), ends))


def _read(path: Path) -> pl.DataFrame:
    try:
        if path.suffix == ".parquet":
            return pl.read_parquet(path)
        if path.suffix == ".csv":
            return pl.read_csv(path, try_parse_dates=True)
    except (OSError, pl.exceptions.PolarsError) as wrong:
        raise SceneError(f"{path}: not a readable {path.suffix[1:]} file ({wrong})") from wrong
    raise SceneError(f"{path}: cannot read {path.suffix or 'a file without suffix'}; give .parquet or .csv")


def _cut(task: Task, source: str, events: pl.DataFrame, labels: pl.DataFrame, now: datetime, ends: datetime) -> Scene:
    stream, label = task.events, task.label
    columns = [stream.key, stream.time, *stream.columns]
    arrived, known = pl.col("delivered"), pl.col(label.time_column)
    labels = labels.select(stream.key, label.column, label.time_column).sort(known, maintain_order=True)
    # A row without a time has not been delivered at any: it is history's to refuse.
    history = events.filter((arrived < now) | arrived.is_null()).select(columns)
    coming = events.filter((arrived >= now) & (arrived < ends)).select(*columns, "delivered")
    return Scene(
        task=task,
        source=source,
        now=now,
        ends=ends,
        history=history,
        told=labels.filter(known < now),
        # The service has no answer to repeat for a payment of history, so nobody asks it for one.
        traffic=coming.join(history.select(stream.key), on=stream.key, how="anti", maintain_order="left"),
        telling=labels.filter((known >= now) & (known < ends)),
    )


def _checked(scene: Scene) -> Scene:
    policy, label = scene.task.policy, scene.task.label
    if scene.matures < policy.volume:
        raise SceneError(
            f"{scene.source}: only {scene.matures:,} labels mature within {scene.days} days of traffic and the volume "
            f"trigger of task {scene.task.name} waits for {policy.volume:,}; give more --days"
        )
    if scene.history.is_empty() or scene.told[label.column].n_unique() < 2:
        raise SceneError(
            f"{scene.source}: {len(scene.history):,} events and {len(scene.told):,} labels lie before the traffic; "
            "a first version needs both outcomes there, so give fewer --days or a longer file"
        )
    return scene


def by_month(frame: pl.DataFrame, time: str) -> Iterator[tuple[str, pl.DataFrame]]:
    """The rows of each month of `time` in order, with the month as `2025-01`; rows without a time come last."""
    months = frame.with_columns(pl.col(time).dt.strftime("%Y-%m").fill_null("undated").alias("_month"))
    for (month,), rows in sorted(months.group_by("_month", maintain_order=True), key=lambda item: str(item[0][0])):
        yield str(month), rows.drop("_month")
