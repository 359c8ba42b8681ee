"""The state of all entities at the watermark, on disk: advanced by what arrived since, or made anew.

What a state is, and that advancing it equals a full recompute, is in `feature_defs.engine.states`.
"""

import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import msgspec
import polars as pl

from ct_assets.lake.lake import Lake
from ct_assets.release import atomic
from feature_defs.engine.states import EntityStates, advance

NOTE = "note.json"
FRAMES = ("events", "labels", "floors")

# Rows brought in at once: what bounds memory, not what is fastest.
BATCH_ROWS = 2_000_000


class Kept(msgspec.Struct, frozen=True):
    """The state on disk: in which folder, as of which arrival (microseconds), from how many rows of the lake."""

    folder: str
    as_of: int
    events_seen: int
    labels_seen: int
    events: int
    labels: int
    days: int = 0


def location(lake: Lake) -> Path:
    """Where the states of the task's feature set are kept. Another feature set has another place."""
    return lake.path / "entity_state" / lake.task.feature_hash


def bring_up(lake: Lake) -> Kept | None:
    """Advance the state to the lake's watermark, by days of arrival; None while nothing has arrived.

    Rows that came in later with an earlier arrival, as history loaded in bulk does, make it start anew. Cut off at any
    moment, it leaves the state before or the state after.
    """
    place, now = location(lake), lake.watermark()
    if now is None:
        return None
    kept = read(lake)
    state = _load(place, kept) if kept and _seen(lake, kept.as_of) == (kept.events_seen, kept.labels_seen) else None
    since = kept.as_of if kept and state else None
    state = state or EntityStates.empty(lake.task)
    days = 0
    for first, last in _spans(lake, since):
        events, labels = (_arrived(lake, table, since, first, last) for table in ("events", "labels"))
        _, state = advance(lake.task, state, events, labels, requests=events.clear())
        days += (last - first).days + 1
    if kept and since is not None and days == 0:
        return msgspec.structs.replace(kept, days=0)
    return _save(place, state, _seen(lake, state.as_of or 0), days)


def read(lake: Lake) -> Kept | None:
    """What is on disk, if anything."""
    note = location(lake) / NOTE
    return msgspec.json.decode(note.read_bytes(), type=Kept) if note.exists() else None


def load(lake: Lake) -> EntityStates:
    """The state on disk; an empty one when there is none."""
    kept = read(lake)
    return _load(location(lake), kept) if kept else EntityStates.empty(lake.task)


def _load(place: Path, kept: Kept) -> EntityStates:
    events, labels, floors = (pl.read_parquet(place / kept.folder / f"{name}.parquet") for name in FRAMES)
    return EntityStates(events, labels, floors, kept.as_of)


def _save(place: Path, state: EntityStates, seen: tuple[int, int], days: int) -> Kept:
    before = place / NOTE
    old = msgspec.json.decode(before.read_bytes(), type=Kept).folder if before.exists() else None
    # Two folders take turns: the one that the note names is never written to.
    folder = "b" if old == "a" else "a"
    shutil.rmtree(place / folder, ignore_errors=True)
    (place / folder).mkdir(parents=True)
    for name, frame in zip(FRAMES, (state.events, state.labels, state.floors), strict=True):
        frame.write_parquet(place / folder / f"{name}.parquet")
    kept = Kept(folder, state.as_of or 0, *seen, len(state.events), len(state.labels), days)
    atomic.write(before, msgspec.json.encode(kept))
    return kept


def _seen(lake: Lake, as_of: int) -> tuple[int, int]:
    """How many events and labels had arrived by `as_of`."""
    arrived = pl.col("available_at").dt.epoch("us") <= as_of
    counts = [lake.read(table, where=arrived).select(pl.len()) for table in ("events", "labels")]
    events, labels = (frame.item() for frame in pl.collect_all(counts, engine="streaming"))
    return events, labels


def _spans(lake: Lake, since: int | None) -> Iterator[tuple[date, date]]:
    """Runs of whole days of arrival with at most `BATCH_ROWS` rows, or one day with more."""
    arrivals = pl.concat(lake.read(table, columns=["available_at"]) for table in ("events", "labels"))
    if since is not None:
        arrivals = arrivals.filter(pl.col("available_at").dt.epoch("us") > since)
    by_day = arrivals.group_by(pl.col("available_at").dt.date().alias("day")).len().sort("day")
    first, last, rows = None, None, 0
    for day, count in by_day.collect(engine="streaming").iter_rows():
        if first is not None and last is not None and rows + count > BATCH_ROWS:
            yield first, last
            first, rows = None, 0
        first, last, rows = first or day, day, rows + count
    if first is not None and last is not None:
        yield first, last


def _arrived(lake: Lake, table: str, since: int | None, first: date, last: date) -> pl.DataFrame:
    start = datetime.combine(first, time(), UTC)
    within = pl.col("available_at").is_between(
        start, datetime.combine(last + timedelta(days=1), time(), UTC), closed="left"
    )
    if since is not None:
        within &= pl.col("available_at").dt.epoch("us") > since
    return lake.read(table, where=within).collect(engine="streaming")
