"""Brings `labeled_events` and `features` up to date: only the days whose rows may have changed are written again.

Which days those are is in `staleness`; how a label or a vector is computed is in `labels` and in
`feature_defs.engine.offline`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial

import polars as pl
from deltalake.exceptions import CommitFailedError

from ct_assets.lake import staleness
from ct_assets.lake.duplicates import matching
from ct_assets.lake.labels import labeled_events
from ct_assets.lake.lake import Lake, retried
from ct_assets.lake.staleness import Inputs, Standing, lookback
from feature_defs.engine import offline

# Rows computed and committed together: it bounds memory; vectors of a day also need the rows of the days before it.
CHUNK_ROWS = 500_000

# Where the run stands that wrote last. Runs with the same inputs write the same rows and may mix; others may not.
_WRITING = "writing"

Compute = Callable[[Inputs, Sequence[date]], pl.DataFrame]


@dataclass(frozen=True)
class Materialized:
    """What a run did: the days it wrote, how many rows they have, and the table version it left."""

    table: str
    dates: tuple[date, ...]
    rows: int
    version: int


def labeled(lake: Lake, as_of: datetime, *, run_id: str = "") -> Materialized:
    """Brings `labeled_events` to the cut-off `as_of`. The column `as_of` says which one a row was last written at.

    Raises:
        ValueError: the table stands at a later cut-off already; `labels.labeled_events` answers for earlier ones.
    """

    def run() -> Materialized:
        inputs = _inputs(lake, "labeled_events", as_of)
        return _write(inputs, "labeled_events", staleness.of_labels(inputs), _labels, run_id)

    return retried(run)


def features(lake: Lake, as_of: datetime, *, run_id: str = "") -> Materialized:
    """Brings `features`, the vectors of events as they were served, to the events that had arrived by `as_of`.

    A stored vector stays what it is, unless rows come in that had arrived before it was asked for, as history loaded
    in bulk has.

    Raises:
        ValueError: the table stands at a later cut-off already.
    """

    def run() -> Materialized:
        inputs = _inputs(lake, "features", as_of)
        stale = staleness.of_vectors(inputs, lake.snapshot("features"))
        return _write(inputs, "features", stale, _vectors, run_id)

    return retried(run)


def _inputs(lake: Lake, table: str, as_of: datetime) -> Inputs:
    before, now = Standing.of(lake.snapshot(table)), Standing.now(lake, as_of)
    if before.as_of > now.as_of:
        raise ValueError(
            f"table {table} of {lake.task.name} stands at {before.cut}, later than {now.cut}: a cut-off never moves "
            "back; read events and labels as of the earlier instant instead"
        )
    return Inputs(lake, before, now)


def _write(inputs: Inputs, table: str, stale: set[date], compute: Compute, run_id: str) -> Materialized:
    lake, sizes, rows = inputs.lake, inputs.days(), 0
    days = sorted(stale & set(sizes))
    chunks = list(_chunks(days, sizes, lookback(lake.task)))
    mine = {lake.snapshot(table).mark(_WRITING), inputs.now.name}
    for chunk in chunks:
        frame = compute(inputs, chunk)
        # Where the table stands is said with the last chunk: a run that dies before it is done again from its start.
        marks = {_WRITING: inputs.now.name} | (inputs.now.marks if chunk is chunks[-1] else {})
        if not retried(partial(_replace, inputs, table, frame, chunk, marks, mine, run_id)):
            raise CommitFailedError(f"another run is writing {table}")
        rows += len(frame)
    return Materialized(table, tuple(days), rows, lake.version(table))


def _replace(
    inputs: Inputs,
    table: str,
    frame: pl.DataFrame,
    days: Sequence[date],
    marks: Mapping[str, int],
    mine: set[int],
    run_id: str,
) -> bool:
    """Commits a chunk, unless a run with other inputs has written since; its rows may be newer than these."""
    snapshot = inputs.lake.snapshot(table)
    if snapshot.mark(_WRITING) not in mine or Standing.of(snapshot) != inputs.before:
        return False
    snapshot.overwrite(frame, days, marks, {"run_id": run_id})
    return True


def _labels(inputs: Inputs, days: Sequence[date]) -> pl.DataFrame:
    of_days = inputs.events().filter(pl.col("event_date").is_in(days)).sort("event_time", "event_id")
    events = of_days.collect(engine="streaming")
    statements = matching(inputs.labels().filter(pl.col("arrival_date") >= days[0]), events, ["event_id"])
    return labeled_events(inputs.lake.task, events, statements, inputs.now.cut)


def _vectors(inputs: Inputs, days: Sequence[date]) -> pl.DataFrame:
    task = inputs.lake.task
    first = days[0] - lookback(task)
    near = inputs.events().filter(pl.col("event_date").is_between(first, days[-1]))
    history = near.select(*task.events.schema, "event_date").collect(engine="streaming")
    requests = history.filter(pl.col("event_date").is_in(days)).sort("event_time", "event_id")
    said = (pl.col("arrival_date") >= first) & (pl.col("available_at") < requests["available_at"].max())
    statements = inputs.labels().filter(said & (pl.col("kind") == "truth"))
    labels = statements.select("event_id", "label", "kind", "available_at").join(
        history.lazy().select("event_id"), on="event_id", how="semi"
    )
    vectors = offline.compute(task, requests, history, labels.collect(engine="streaming"), mode="as_served")
    beside = requests.select("event_time", "available_at", feature_hash=pl.lit(task.feature_hash))
    return pl.concat([vectors, beside], how="horizontal")


def _chunks(days: Sequence[date], sizes: dict[date, int], reach: timedelta) -> Iterator[list[date]]:
    """Runs of days of bounded size; a gap wider than the history that a day needs starts another one."""
    chunk: list[date] = []
    for day in days:
        full = sum(sizes[member] for member in chunk) + sizes[day] > CHUNK_ROWS
        if chunk and (full or day - chunk[-1] > reach):
            yield chunk
            chunk = []
        chunk.append(day)
    if chunk:
        yield chunk
