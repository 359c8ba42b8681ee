"""One pass per entity over its rows and its requests, for all its windows. The heart of the offline executor.

Rows and requests come in entity order. An entity whose rows arrived in time order is swept with moving window edges;
any other is replayed: its changes are applied in order of arrival, and each request sees what had arrived before it.
"""

import numpy as np

from feature_defs.engine.compiled.exact import quotient
from feature_defs.engine.compiled.fold import COUNT, MEAN, SUM, empty, fold
from feature_defs.engine.jit import kernel


@kernel
def sweep(  # type: ignore[no-untyped-def]
    first,
    last,
    starts,
    times,
    arrivals,
    values,
    totals,
    change_starts,
    change_rows,
    change_arrivals,
    change_values,
    ask_starts,
    ask_times,
    ask_arrivals,
    cells,
    edges,
    out,
):
    """Fill `out[request, cell]` for the entities `first` to `last`.

    Args:
        first: First entity.
        last: End of the entities.
        starts: (entities + 1,) places of an entity's rows.
        times: (rows,) event times in microseconds, ascending per entity.
        arrivals: (rows,) instants of arrival; empty when every row arrives as it happens, before it is asked for.
        values: (columns, rows) int64 words.
        totals: (columns, rows + 1) running sums of `values`, or (0, 0) when they might overflow or values are missing.
        change_starts: (entities + 1,) places of an entity's changes; an entity without any is swept.
        change_rows: (changes,) the row that a change shows.
        change_arrivals: (changes,) instants of arrival, ascending per entity.
        change_values: (changes,) what the row's first value is from then on.
        ask_starts: (entities + 1,) places of an entity's requests.
        ask_times: (requests,) instants asked for, fastest when ascending per entity.
        ask_arrivals: (requests,) instants of asking; rows that arrived before take part. Empty with `arrivals`.
        cells: (cells, 7) op, column, start, end, scale, real, and an output for others.
        edges: (cells, 2) which of the distinct window edges a cell starts and ends at, the distances after them.
        out: (requests, cells) float64, in entity order.
    """
    distances = _distances(cells, edges)
    longest = 0
    for entity in range(first, last):
        longest = max(longest, ask_starts[entity + 1] - ask_starts[entity])
    places = np.empty((len(distances), longest), np.int64)
    limits = np.empty(longest, np.int64)
    for entity in range(first, last):
        begin, end = starts[entity], starts[entity + 1]
        ask, ask_end = ask_starts[entity], ask_starts[entity + 1]
        if ask == ask_end:
            continue
        if change_starts[entity] < change_starts[entity + 1]:
            _replay(
                begin,
                end,
                times,
                values,
                change_rows,
                change_arrivals,
                change_values,
                change_starts[entity],
                change_starts[entity + 1],
                ask_times,
                ask_arrivals,
                ask,
                ask_end,
                cells,
                out,
            )
            continue
        for edge in range(len(distances)):
            _slide(times, begin, end, ask_times[ask:ask_end], distances[edge], places[edge])
        if len(arrivals):
            _slide(arrivals, begin, end, ask_arrivals[ask:ask_end], 0, limits)
        else:
            limits[: ask_end - ask] = end
        _collect(values, totals, places, limits, cells, edges, out[ask:ask_end])


@kernel
def _distances(cells, edges):  # type: ignore[no-untyped-def]
    """How far before the request each distinct edge lies."""
    distances = np.empty(edges.max() + 1, np.int64)
    for c in range(len(cells)):
        distances[edges[c, 0]] = cells[c, 2]
        distances[edges[c, 1]] = cells[c, 3]
    return distances


@kernel
def _slide(instants, begin, end, asked, distance, places):  # type: ignore[no-untyped-def]
    """Per request the first place at or after `asked - distance`: it moves forth and, out of order, back."""
    place = begin
    for ask in range(len(asked)):
        instant = asked[ask] - distance
        while place < end and instants[place] < instant:
            place += 1
        while place > begin and instants[place - 1] >= instant:
            place -= 1
        places[ask] = place


@kernel
def _collect(values, totals, places, limits, cells, edges, out):  # type: ignore[no-untyped-def]
    """Fill the cells of an entity's requests, one cell after the other, so that loops stay tight."""
    everything = np.empty(0, np.uint8)
    for c in range(len(cells)):
        op, column, scale = cells[c, 0], cells[c, 1], cells[c, 4]
        lows, highs = places[edges[c, 0]], places[edges[c, 1]]
        if op == COUNT:
            for ask in range(len(out)):
                out[ask, c] = np.float64(max(min(highs[ask], limits[ask]) - lows[ask], 0))
        elif len(totals) and op in (SUM, MEAN):
            sums = totals[column]
            for ask in range(len(out)):
                low, high = lows[ask], min(highs[ask], limits[ask])
                if high <= low:
                    out[ask, c] = empty(op)
                else:
                    out[ask, c] = quotient(sums[high] - sums[low], scale * (high - low if op == MEAN else 1))
        else:
            for ask in range(len(out)):
                low, high = lows[ask], min(highs[ask], limits[ask])
                out[ask, c] = fold(op, cells[c, 5], scale, values[max(column, 0)], everything, low, high)


@kernel
def _replay(  # type: ignore[no-untyped-def]
    begin,
    end,
    times,
    values,
    change_rows,
    change_arrivals,
    change_values,
    change,
    change_end,
    ask_times,
    ask_arrivals,
    ask_begin,
    ask_end,
    cells,
    out,
):
    shown = np.zeros(end - begin, np.uint8)
    mine = values[:, begin:end].copy()
    instants = times[begin:end]
    for ask in ask_begin + np.argsort(ask_arrivals[ask_begin:ask_end], kind="mergesort"):
        time = ask_times[ask]
        while change < change_end and change_arrivals[change] < ask_arrivals[ask]:
            place = change_rows[change] - begin
            shown[place] = 1
            if len(mine):
                mine[0, place] = change_values[change]
            change += 1
        for c in range(len(cells)):
            low = np.searchsorted(instants, time - cells[c, 2])
            high = np.searchsorted(instants, time - cells[c, 3])
            own = mine[max(cells[c, 1], 0)] if len(mine) else instants
            out[ask, c] = fold(cells[c, 0], cells[c, 5], cells[c, 4], own, shown, low, high)
