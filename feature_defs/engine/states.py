"""The state of all entities between two batches: the rows that some window may still reach, and nothing else.

Advancing it by a batch gives that batch's vectors, to the bit those of a full recompute; an online store that is
bootstrapped from it serves them. What is kept where on disk is the caller's business.
"""

from dataclasses import dataclass

import polars as pl

from feature_defs.engine import offline, rows, statements
from feature_defs.engine.plan import History, Plan, plan
from feature_defs.stream import INSTANT
from feature_defs.task import Task


@dataclass(frozen=True)
class EntityStates:
    """What is left of the past.

    `events` and `labels` are frames as `offline.compute` takes them, labels with the newest truth of each event.
    `floors` says per history and entity from which event time on nothing is missing: history, entity, floor.
    `as_of` is the newest arrival in microseconds; batches must come after it.
    """

    events: pl.DataFrame
    labels: pl.DataFrame
    floors: pl.DataFrame
    as_of: int | None

    @classmethod
    def empty(cls, task: Task) -> "EntityStates":
        """Before the first event."""
        floors = pl.DataFrame(schema={"history": pl.Int64, "entity": pl.String, "floor": INSTANT})
        events, labels = pl.DataFrame(schema=task.events.schema), pl.DataFrame(schema=statements.schema(task))
        return cls(events, labels, floors, None)


def advance(
    task: Task,
    state: EntityStates,
    events: pl.DataFrame,
    labels: pl.DataFrame,
    *,
    requests: pl.DataFrame | None = None,
    threads: int = 1,
) -> tuple[pl.DataFrame, EntityStates]:
    """The vectors of a batch of events, and the state after it.

    Args:
        task: Whose features.
        state: The state before the batch.
        events: Events that arrived after everything in `state`; an id that the state still knows changes nothing.
        labels: Statements that arrived after everything in `state`.
        requests: What to answer; without it the events that are new.
        threads: How many threads share the entities.

    Raises:
        ValueError: something in the batch arrived before the state's `as_of`, or an event is too late to be exact.
    """
    new = _unknown(rows.unique_events(events.select(*task.events.schema)), state.events)
    labels = labels.select(*statements.schema(task))
    requests = new if requests is None else requests
    _check_order(state, new, labels)
    ready = plan(task)
    for history in ready.histories:
        _check_floors(task, history, state, requests)
    # Without a past the frame stays the one that is asked about, which saves ordering it twice.
    past = pl.concat([state.events, new]) if len(state.events) else new
    said = pl.concat([state.labels, labels])
    vectors = offline.compute(task, requests, past, said, threads=threads)
    return vectors, _compacted(ready, state, past, said)


def _unknown(events: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    ids = events["event_id"]
    if known.is_empty() or (ids.dtype.is_integer() and len(ids) and ids.min() > known["event_id"].max()):  # type: ignore[operator]
        return events
    return events.join(known, on="event_id", how="anti", maintain_order="left")


def _check_order(state: EntityStates, events: pl.DataFrame, labels: pl.DataFrame) -> None:
    if state.as_of is None:
        return
    for name, frame in (("event", events), ("label", labels)):
        if len(frame) and rows.instants(frame["available_at"]).min() <= state.as_of:
            raise ValueError(
                f"the batch holds {name}s that arrived when the state had already been taken; cut batches by arrival, "
                "and between instants"
            )


def _check_floors(task: Task, history: History, state: EntityStates, events: pl.DataFrame) -> None:
    floors = state.floors.filter(pl.col("history") == history.index)
    if floors.is_empty() or events.is_empty():
        return
    asked = events.select("event_id", "event_time", entity=pl.col(history.key).cast(pl.String))
    late = asked.join(floors, on="entity").filter(
        pl.col("event_time") - pl.duration(microseconds=history.reach) < pl.col("floor")
    )
    if len(late):
        raise ValueError(
            f"event {late['event_id'][0]!r} is more than {task.events.lateness} behind the newest event of its "
            f"{history.key}; rows it would count have left the state. Recompute from the lake, or raise `lateness`"
        )


def _compacted(ready: Plan, state: EntityStates, past: pl.DataFrame, said: pl.DataFrame) -> EntityStates:
    """Keep what a window may still reach; note per entity where what was dropped ended."""
    # Recent rows stay whoever they belong to, so that a repeated id is known again.
    reach = max((history.reach for history in ready.histories), default=0) + ready.task.events.lateness_us
    recent = pl.col("event_time") >= pl.col("event_time").max() - pl.duration(microseconds=reach)
    needed = past.select(needed=recent)["needed"]
    floors = [state.floors]
    for history in ready.histories:
        keep = pl.col("event_time") >= pl.col("event_time").max().over(history.key) - pl.duration(
            microseconds=history.reach + ready.task.events.lateness_us
        )
        kept = past.select((keep & pl.col(history.key).is_not_null()).alias("kept"))["kept"]
        needed |= kept
        gone = past.filter(~kept & past[history.key].is_not_null())
        floors.append(
            gone.group_by(entity=pl.col(history.key).cast(pl.String))
            .agg(floor=pl.col("event_time").max() + pl.duration(microseconds=1))
            .select(history=pl.lit(history.index, dtype=pl.Int64), entity="entity", floor="floor")
        )
    events = past.filter(needed)
    labels = (
        said.filter((pl.col("kind") == "truth") & pl.col("label").is_not_null())
        .join(events.select("event_id", first="available_at"), on="event_id", how="inner")
        .filter(pl.col("available_at") > pl.col("first"))
        .drop("first")
        .sort("available_at", "label")
        .unique("event_id", keep="last", maintain_order=True)
    )
    newest = [int(rows.instants(frame["available_at"]).max()) for frame in (past, said) if len(frame)]
    return EntityStates(
        events,
        labels,
        pl.concat(floors).group_by("history", "entity").agg(pl.col("floor").max()),
        max([*newest, *([] if state.as_of is None else [state.as_of])], default=None),
    )
