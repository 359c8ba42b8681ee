"""The offline executor: the vectors of any requests, from frames of events and label statements.

Exact windows, visibility and rounding as in the design; the arithmetic is in `compiled`, shared with the online store.
"""

import itertools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from feature_defs.engine import entities, expressions, rows
from feature_defs.engine.arrangement import arrange
from feature_defs.engine.entities import Ids
from feature_defs.engine.plan import OPS, History, Plan, plan
from feature_defs.engine.rows import Mask, Rows
from feature_defs.engine.values import NULL, Floats, Integers
from feature_defs.task import Task

WHOLE = (OPS["count"], OPS["distinct"])
Mode = Literal["as_served", "as_if_on_time"]


def compute(
    task: Task,
    requests: pl.DataFrame,
    events: pl.DataFrame,
    labels: pl.DataFrame,
    *,
    mode: Mode = "as_served",
    threads: int = 1,
) -> pl.DataFrame:
    """The vector of each request, as it was (`as_served`) or would have been with nothing late (`as_if_on_time`).

    Args:
        task: Whose features.
        requests: `event_id`, `event_time`, `available_at` and the stream's columns; answered in this order.
        events: The history, same columns; repeated ids count once.
        labels: Statements: `event_id`, `label`, `kind`, `available_at`; only truths are used.
        mode: Whether arrivals count.
        threads: How many threads share the entities. The result does not depend on it.

    Returns:
        `event_id` and the features in definition order: counts Int64, the rest Float64, null where a window is empty.

    Raises:
        OverflowError: a window's sum needs more than 64 bits, or its sum of squares more than 128.
        ValueError: `mode` is unknown, or an event lacks its id or an instant.
    """
    if mode not in ("as_served", "as_if_on_time"):
        raise ValueError(f"mode is {mode!r}; it is 'as_served' or 'as_if_on_time'")
    ready = plan(task)
    columns: dict[str, pl.Series] = {}
    on_time = mode == "as_if_on_time"
    if ready.histories:
        ties = any(history.ordered for history in ready.histories)
        events = rows.in_time_order(rows.unique_events(events), ties=ties)
        asks = Asks.of(requests, on_time=on_time)
    for history in ready.histories:
        if history.of_label:
            known = rows.of_labels(history, ready, events, labels, on_time=on_time)
        else:
            known = rows.of_events(history, ready, events, on_time=on_time)
        columns |= _cells(history, known, asks, threads=threads)
    return _frame(ready, requests, columns)


@dataclass(frozen=True)
class Asks:
    """Requests: when they ask, when they were made, and how to bring them into time order (None: they are)."""

    frame: pl.DataFrame
    times: Integers
    arrivals: Integers
    order: Integers | None

    @classmethod
    def of(cls, requests: pl.DataFrame, *, on_time: bool) -> "Asks":
        """The requests of a frame; `on_time` lets each be made at its event time."""
        times = rows.instants(requests["event_time"])
        arrivals = rows.arrivals(requests, times, on_time=on_time)
        sorted_already = bool((times[1:] >= times[:-1]).all())
        return cls(requests, times, arrivals, None if sorted_already else np.argsort(times, kind="stable"))

    def arranged(self, ids: Ids, count: int, *, prompt: bool) -> tuple[Integers, Integers, Integers, Integers]:
        """Starts, place of each request, times and arrivals, in entity order and by time within."""
        times, arrivals, none = self.times, self.times[:0] if prompt else self.arrivals, np.empty((0, 0), np.int64)
        if self.order is None:
            starts, places, times, arrivals, _, _ = arrange(ids, count, times, arrivals, none)
            return starts, places, times, arrivals
        order = self.order
        starts, moved, times, arrivals, _, _ = arrange(
            ids[order], count, times[order], arrivals if prompt else arrivals[order], none
        )
        places = np.empty(len(ids), np.int64)
        places[order] = moved
        return starts, places, times, arrivals


def _frame(ready: Plan, requests: pl.DataFrame, columns: dict[str, pl.Series]) -> pl.DataFrame:
    if ready.rows:
        evaluated = expressions.evaluate(ready, requests, columns)
        columns |= {name: evaluated[name] for name in evaluated.columns}
    return pl.DataFrame({"event_id": requests["event_id"]} | {name: columns[name] for name in ready.names})


def _cells(history: History, known: Rows, asks: Asks, *, threads: int) -> dict[str, pl.Series]:
    """The window features of one history, by name."""
    table, places = _table(history, known, asks, threads=threads)
    whole = [cell.op in WHOLE for cell in history.cells]
    counts = np.empty((sum(whole), len(places)), np.int64)
    numbers = np.empty((len(whole) - sum(whole), len(places)))
    empty = np.array([0.0 if cell.op in (*WHOLE, OPS["sum"]) else np.nan for cell in history.cells])

    from feature_defs.engine.compiled.order import spread

    missing = spread(table, places, empty, np.array(whole), counts, numbers)
    kinds = [(cell.name, is_whole) for cell, is_whole in zip(history.cells, whole, strict=True)]
    made = {name: pl.Series(name, column) for name, column in zip((n for n, w in kinds if w), counts, strict=True)}
    for name, column, has_nan in zip((n for n, w in kinds if not w), numbers, missing, strict=True):
        values = pl.Series(name, column)
        made[name] = values.fill_nan(None) if has_nan else values
    return made


def _table(history: History, known: Rows, asks: Asks, *, threads: int) -> tuple[Floats, Integers]:
    """The cells of the requests in entity order, and the row of each request in it, -1 for one without an entity."""
    from feature_defs.engine.compiled.sweep import sweep

    if not len(known.times) or not len(asks.times):
        return np.empty((0, len(history.cells))), np.full(len(asks.times), -1)
    # Training asks for the very rows it counts; they are then brought into order once.
    shared = known.frame is asks.frame
    row_ids, ask_ids, count = entities.dense(known.keys, known.keys if shared else asks.frame[history.key])
    prompt = known.arrivals is known.times and asks.arrivals is asks.times and not len(known.changes[0])
    nothing = np.empty(0, np.int64)
    starts, places, times, arrivals, values, backwards = arrange(
        row_ids, count, known.times, nothing if prompt else known.arrivals, known.values
    )
    changes = _changes(known, row_ids, places, starts, arrivals, values, backwards)
    if shared:
        ask_starts, ask_places, ask_times = starts, places, times
        ask_arrivals = nothing if prompt else np.empty(len(times), np.int64)
        if not prompt:
            ask_arrivals[places] = asks.arrivals
    else:
        ask_starts, ask_places, ask_times, ask_arrivals = asks.arranged(ask_ids, count, prompt=prompt)
    table = np.empty((len(ask_times), len(history.cells)))
    fixed = (
        *(starts, times, arrivals, values, _totals(history, values, starts), *changes),
        *(ask_starts, ask_times, ask_arrivals, history.table, history.edges, table),
    )
    cuts = _cuts(starts, ask_starts, threads)
    if len(cuts) == 2:
        sweep(0, count, *fixed)
        return table, ask_places
    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(sweep, first, last, *fixed) for first, last in itertools.pairwise(cuts)]:
            done.result()
    return table, ask_places


def _cuts(starts: Integers, ask_starts: Integers, threads: int) -> list[int]:
    """Borders of entity ranges with about equal work."""
    work = starts + ask_starts
    shares = [int(np.searchsorted(work, work[-1] * part // threads)) for part in range(1, threads)]
    return sorted({0, *shares, len(starts) - 1})


def _changes(
    known: Rows,
    row_ids: Ids,
    places: Integers,
    starts: Integers,
    arrivals: Integers,
    values: Integers,
    backwards: Mask,
) -> tuple[Integers, Integers, Integers, Integers]:
    """Changes of the entities that must be replayed, in entity order: starts, rows, arrivals, values.

    Replayed are entities with a correction, and those whose rows arrived `backwards`.
    """
    count = len(starts) - 1
    corrected, corrections, statements = known.changes
    replayed = backwards.copy()
    replayed[row_ids[corrected]] = True
    if not replayed.any():
        none = np.empty(0, np.int64)
        return np.zeros(count + 1, np.int64), none, none, none
    owner = np.empty(len(arrivals), np.int64)
    owner[places] = row_ids
    mine = np.flatnonzero(replayed[owner])
    first_values = values[0, mine] if len(values) else np.zeros(len(mine), np.int64)
    entity = np.concatenate([owner[mine], row_ids[corrected]])
    changed = np.concatenate([mine, places[corrected]])
    arrived = np.concatenate([arrivals[mine], corrections])
    value = np.concatenate([first_values, statements])
    by_arrival = np.lexsort((value, arrived, entity))
    change_starts = np.searchsorted(entity[by_arrival], np.arange(count + 1))
    return change_starts, changed[by_arrival], arrived[by_arrival], value[by_arrival]


def _totals(history: History, values: Integers, starts: Integers) -> Integers:
    """Running sums per column, or none when a value is missing, real, or so large that a sum might not fit."""
    none = np.empty((0, 0), np.int64)
    summed = {cell.column for cell in history.cells if cell.op in (OPS["sum"], OPS["mean"])}
    if not summed or any(cell.real for cell in history.cells) or not values.size or (values == NULL).any():
        return none
    largest = max(abs(int(values.max())), abs(int(values.min())))
    if largest * int(np.diff(starts).max()) >= 2**62:
        return none
    totals = np.zeros((len(values), values.shape[1] + 1), np.int64)
    np.cumsum(values, axis=1, out=totals[:, 1:])
    return totals
