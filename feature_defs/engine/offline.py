"""The offline executor: the vectors of any requests, from frames of events and label statements.

Exact windows, visibility and rounding as in the design; the arithmetic is in `compiled`, shared with the online store.
"""

import itertools
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import numpy as np
import polars as pl

from feature_defs.engine import entities, expressions, rows
from feature_defs.engine.plan import OPS, History, Plan, plan
from feature_defs.engine.rows import Rows
from feature_defs.engine.values import NULL, Floats, Integers
from feature_defs.task import Task

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
    out = np.empty((len(requests), len(ready.names)))
    on_time = mode == "as_if_on_time"
    if ready.histories:
        ties = any(history.ordered for history in ready.histories)
        events = rows.in_time_order(rows.unique_events(events), ties=ties)
    for history in ready.histories:
        if history.of_label:
            known = rows.of_labels(history, ready, events, labels, on_time=on_time)
        else:
            known = rows.of_events(history, ready, events, on_time=on_time)
        _fill(history, known, requests, out, on_time=on_time, threads=threads)
    return _frame(ready, requests, out)


def _frame(ready: Plan, requests: pl.DataFrame, out: Floats) -> pl.DataFrame:
    at = {position for position, _ in ready.rows}
    columns: dict[str, pl.Series] = {}
    for position, (name, whole) in enumerate(zip(ready.names, ready.whole, strict=True)):
        if position not in at:
            values = pl.Series(name, np.ascontiguousarray(out[:, position]))
            columns[name] = values.cast(pl.Int64) if whole else values.fill_nan(None)
    if ready.rows:
        evaluated = expressions.evaluate(ready, requests, columns)
        columns |= {name: evaluated[name] for name in evaluated.columns}
    return pl.DataFrame({"event_id": requests["event_id"]} | {name: columns[name] for name in ready.names})


def _fill(history: History, known: Rows, requests: pl.DataFrame, out: Floats, *, on_time: bool, threads: int) -> None:
    from feature_defs.engine.compiled.order import group
    from feature_defs.engine.compiled.sweep import sweep

    for cell in history.cells:
        out[:, cell.output] = 0.0 if cell.op in (OPS["count"], OPS["sum"], OPS["distinct"]) else np.nan
    if not len(known.times) or not len(requests):
        return
    row_ids, ask_ids, count = entities.dense(known.keys, requests[history.key])
    starts, order = group(row_ids, count)
    times, arrivals = known.times[order], known.arrivals[order]
    values = np.ascontiguousarray(known.values[:, order])
    changes = _changes(known, row_ids, order, starts, arrivals, values)
    ask_times = rows.instants(requests["event_time"])
    if (ask_times[1:] < ask_times[:-1]).any():
        by_time = np.argsort(ask_times, kind="stable")
        ask_starts, ask_order = group(ask_ids[by_time], count)
        ask_order = by_time[ask_order]
    else:
        ask_starts, ask_order = group(ask_ids, count)
    asked = ask_times if on_time else rows.instants(requests["available_at"])
    fixed = (
        starts,
        times,
        arrivals,
        values,
        _totals(history, values, starts),
        *changes,
        ask_starts,
        ask_order,
        ask_times[ask_order],
        asked[ask_order],
        history.table,
        out,
    )
    cuts = _cuts(starts, ask_starts, threads)
    if len(cuts) == 2:
        sweep(0, count, *fixed)
        return
    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(sweep, first, last, *fixed) for first, last in itertools.pairwise(cuts)]:
            done.result()


def _cuts(starts: Integers, ask_starts: Integers, threads: int) -> list[int]:
    """Borders of entity ranges with about equal work."""
    work = starts + ask_starts
    shares = [int(np.searchsorted(work, work[-1] * part // threads)) for part in range(1, threads)]
    return sorted({0, *shares, len(starts) - 1})


def _changes(
    known: Rows,
    row_ids: Integers,
    order: Integers,
    starts: Integers,
    arrivals: Integers,
    values: Integers,
) -> tuple[Integers, Integers, Integers, Integers]:
    """Changes of the entities that must be replayed, in entity order: starts, rows, arrivals, values.

    Replayed are entities with a correction, and those whose rows did not arrive in time order.
    """
    count = len(starts) - 1
    owner = row_ids[order]
    backwards = (arrivals[1:] < arrivals[:-1]) & (owner[1:] == owner[:-1])
    corrected, corrections, statements = known.changes
    replayed = np.zeros(count, dtype=bool)
    replayed[owner[1:][backwards]] = True
    replayed[row_ids[corrected]] = True
    if not replayed.any():
        none = np.empty(0, np.int64)
        return np.zeros(count + 1, np.int64), none, none, none
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    mine = np.flatnonzero(replayed[owner])
    first_values = values[0, mine] if len(values) else np.zeros(len(mine), np.int64)
    entity = np.concatenate([owner[mine], row_ids[corrected]])
    changed = np.concatenate([mine, place[corrected]])
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
