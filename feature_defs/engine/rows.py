"""The rows of a history as arrays: who, when, known since when, and what. Built from frames by both executors.

What is done with them (sweeping, storing) lives with the executors.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from feature_defs.columns import Text
from feature_defs.engine.plan import History, Plan
from feature_defs.engine.values import NULL, Integers, words
from feature_defs.stream import INSTANT

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Rows:
    """Rows in `(event_time, event_id)` order, one per event, and the changes that show them.

    They are the rows of `frame`. `arrivals[i]` is when row i was first known; it is `times` itself when every row was
    known as it happened. `changes` holds later statements about a row: (row, arrival, value)
    in order of arrival; it is empty for events, which never change.
    """

    frame: pl.DataFrame
    keys: pl.Series
    ids: pl.Series
    times: Integers
    arrivals: Integers
    values: Integers
    changes: tuple[Integers, Integers, Integers]


def instants(values: pl.Series) -> Integers:
    """Microseconds since the epoch."""
    return values.cast(INSTANT).to_physical().to_numpy()


def arrivals(frame: pl.DataFrame, times: Integers, *, on_time: bool) -> Integers:
    """When the rows of `frame` were known: `times` itself when that is the same, or is to be."""
    if on_time:
        return times
    known = instants(frame["available_at"])
    return times if np.array_equal(known, times) else known


def unique_events(events: pl.DataFrame) -> pl.DataFrame:
    """`events` without repetitions: of rows with one id the first to arrive stays, and of those the first given.

    Raises:
        ValueError: an id or an instant is null.
    """
    for name in ("event_id", "event_time", "available_at"):
        if events[name].null_count():
            raise ValueError(f"events: {name} is null in row {events[name].is_null().arg_max()}; every event needs one")
    ids = events["event_id"]
    if ids.dtype.is_integer() and len(ids) > 1:
        given = ids.to_numpy()
        if (given[1:] > given[:-1]).all():
            return events
    if not ids.is_duplicated().any():
        return events
    return events.sort("available_at", maintain_order=True).unique("event_id", keep="first", maintain_order=True)


def in_time_order(events: pl.DataFrame, *, ties: bool) -> pl.DataFrame:
    """`events` by time, and by id within equal times when `ties` matter. Rows that are in order are not touched."""
    times = instants(events["event_time"])
    if (times[1:] >= times[:-1]).all():
        tied = times[1:] == times[:-1]
        if not ties or not tied.any():
            return events
        ids = events["event_id"]
        if (ids.slice(1).to_numpy()[tied] > ids.slice(0, len(ids) - 1).to_numpy()[tied]).all():
            return events
    return events.sort("event_time", "event_id") if ties else events.sort("event_time", maintain_order=True)


def any_number(texts: pl.Series) -> Integers:
    """Numbers for texts of which only equality matters; `NULL` for null."""
    return texts.rank("dense").cast(pl.Int64).fill_null(int(NULL)).to_numpy()


def of_events(
    history: History,
    plan: Plan,
    events: pl.DataFrame,
    number: Callable[[pl.Series], Integers] = any_number,
    *,
    on_time: bool = False,
) -> Rows:
    """Rows of a history over events; `events` is unique and in time order.

    `number` gives texts their words. `on_time` lets each row arrive as it happens.
    """
    events = _kept(events, counted(history, plan, events))
    values = [
        number(events[name]) if isinstance(column, Text) else words(events[name], column)
        for name, column in history.columns.items()
    ]
    none = np.empty(0, np.int64)
    times = instants(events["event_time"])
    return Rows(
        events,
        events[history.key],
        events["event_id"],
        times,
        arrivals(events, times, on_time=on_time),
        values[0][None, :] if len(values) == 1 else np.array(values, dtype=np.int64).reshape(len(values), len(events)),
        (none, none, none),
    )


def of_labels(
    history: History, plan: Plan, events: pl.DataFrame, labels: pl.DataFrame, *, on_time: bool = False
) -> Rows:
    """Rows of a history over labels: events with a truth, at their event's time.

    A statement counts when its event had arrived before it. The newest counts; of several that arrived at one instant
    the greatest. `on_time` lets the newest arrive at the horizon.
    """
    events = _kept(events, counted(history, plan, events))
    rows, known, said = _truths(events, labels)
    first = np.ones(len(rows), dtype=bool)
    first[1:] = rows[1:] != rows[:-1]
    about = events if first.all() and len(rows) == len(events) else events[rows[first]]
    times = instants(about["event_time"])
    none = np.empty(0, np.int64)
    if on_time:
        final = np.append(first[1:], True)[: len(rows)]
        newest = times + plan.task.label.horizon_us
        return Rows(about, about[history.key], about["event_id"], times, newest, said[final][None, :], (none,) * 3)
    changes = (none, none, none)
    if not first.all():
        # Saying the same again changes nothing, so it is no correction.
        news = ~first
        news[1:] &= said[1:] != said[:-1]
        place = np.cumsum(first) - 1
        by_arrival = np.lexsort((said[news], known[news]))
        changes = (place[news][by_arrival], known[news][by_arrival], said[news][by_arrival])
    return Rows(about, about[history.key], about["event_id"], times, known[first], said[first][None, :], changes)


def _truths(events: pl.DataFrame, labels: pl.DataFrame) -> tuple[Integers, Integers, Integers]:
    """Truths about known events by (row of the event, arrival, label): rows, arrivals, labels."""
    stated = labels.filter((pl.col("kind") == "truth") & pl.col("label").is_not_null())
    rows = _places(events["event_id"], stated["event_id"])
    known, said = instants(stated["available_at"]), stated["label"].cast(pl.Int64).to_numpy()
    counts = rows >= 0
    counts[counts] = known[counts] > instants(events["available_at"])[rows[counts]]
    if not counts.all():
        rows, known, said = rows[counts], known[counts], said[counts]
    if (rows[1:] <= rows[:-1]).any():
        order = np.lexsort((said, known, rows))
        rows, known, said = rows[order], known[order], said[order]
    return rows, known, said


def _places(ids: pl.Series, wanted: pl.Series) -> Integers:
    """Row of each wanted id among unique `ids`, -1 for one that is not there."""
    if ids.dtype.is_integer() and len(ids) and wanted.null_count() == 0:
        low, span = int(ids.min()), int(ids.max()) - int(ids.min())  # type: ignore[arg-type]
        if span <= 4 * len(ids) + 1024:
            table = np.full(span + 1, -1)
            table[ids.to_numpy() - low] = np.arange(len(ids))
            at = wanted.to_numpy() - low
            inside = (at >= 0) & (at <= span)
            return table[at] if inside.all() else np.where(inside, table[np.clip(at, 0, span)], -1)
    lookup = pl.DataFrame({"id": ids, "row": np.arange(len(ids))})
    found = wanted.alias("id").to_frame().join(lookup, on="id", how="left", maintain_order="left")
    return found["row"].fill_null(-1).to_numpy()


def counted(history: History, plan: Plan, events: pl.DataFrame) -> Mask:
    """Which events have an entity and pass the history's filter, which speaks the stream's own names."""
    passed = events[history.key].is_not_null()
    if history.where is not None:
        stream = plan.task.events
        named = events.rename({"event_id": stream.key, "event_time": stream.time})
        passed &= named.select(history.where.alias("passed"))["passed"].fill_null(value=False)
    return passed.to_numpy()


def _kept(events: pl.DataFrame, mask: Mask) -> pl.DataFrame:
    return events if mask.all() else events.filter(mask)
