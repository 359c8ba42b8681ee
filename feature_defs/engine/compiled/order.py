"""Bring rows into entity order with a stable counting sort: rows in time order stay in time order per entity."""

import numpy as np

from feature_defs.engine.jit import kernel

BLOCK = 4096


@kernel
def place(entities, starts, times, arrivals, values, places, new_times, new_arrivals, new_values):  # type: ignore[no-untyped-def]
    """A stable counting sort of the columns by entity in one pass: a cursor per entity fits the cache, rows need not.

    Args:
        entities: (rows,) dense ids, -1 for a row to leave out.
        starts: (entities + 1,) first place of each entity, and the end of the last, from `starts_of`.
        times: (rows,) int64.
        arrivals: (rows,) int64, or empty.
        values: (columns, rows) int64.
        places: (rows,) to fill: where each row went, -1 for a row left out.
        new_times: To fill, in entity order.
        new_arrivals: To fill, in entity order; empty with `arrivals`.
        new_values: To fill, in entity order.

    Returns:
        (entities,) whether an entity's rows arrived in another order than that of their times.
    """
    cursors = starts[:-1].copy()
    backwards = np.zeros(len(cursors), np.bool_)
    for row in range(len(entities)):
        entity = entities[row]
        if entity < 0:
            places[row] = -1
            continue
        here = cursors[entity]
        cursors[entity] = here + 1
        places[row] = here
        new_times[here] = times[row]
        if len(arrivals):
            new_arrivals[here] = arrivals[row]
            if here > starts[entity] and new_arrivals[here - 1] > arrivals[row]:
                backwards[entity] = True
        for column in range(len(values)):
            new_values[column, here] = values[column, row]
    return backwards


@kernel
def starts_of(entities, count):  # type: ignore[no-untyped-def]
    """Per entity the place of its first row in entity order, and the end of the last: (count + 1,)."""
    starts = np.zeros(count + 1, np.int64)
    for entity in entities:
        if entity >= 0:
            starts[entity + 1] += 1
    for entity in range(count):
        starts[entity + 1] += starts[entity]
    return starts


@kernel
def spread(table, places, empty, whole, counts, numbers):  # type: ignore[no-untyped-def]
    """Bring a table of entity order back into the order of requests, as columns.

    Args:
        table: (places, cells) float64, a request's cells side by side.
        places: (requests,) its row for each request, -1 for one without an entity.
        empty: (cells,) what such a request gets.
        whole: (cells,) whether a cell is a count.
        counts: (counts, requests) int64 to fill, in the order of cells.
        numbers: (other cells, requests) float64 to fill, in the order of cells.

    Returns:
        Per column of `numbers`, whether it holds a NaN.
    """
    missing = np.zeros(len(numbers), np.bool_)
    # Requests of one entity lie side by side in the table, so it is read as so many streams as there are entities;
    # blocks let the cells of a request find it still in the cache.
    for begin in range(0, len(places), BLOCK):
        end = min(begin + BLOCK, len(places))
        at_count, at_number = 0, 0
        for cell in range(len(whole)):
            if whole[cell]:
                column = counts[at_count]
                at_count += 1
                for row in range(begin, end):
                    place = places[row]
                    column[row] = np.int64(table[place, cell] if place >= 0 else empty[cell])
            else:
                numeric = numbers[at_number]
                nan = False
                for row in range(begin, end):
                    place = places[row]
                    value = table[place, cell] if place >= 0 else empty[cell]
                    numeric[row] = value
                    nan |= np.isnan(value)
                missing[at_number] |= nan
                at_number += 1
    return missing
