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
    ask_order,
    ask_times,
    ask_arrivals,
    cells,
    out,
):
    """Fill `out[request, cell output]` for the entities `first` to `last`.

    Args:
        first: First entity.
        last: End of the entities.
        starts: (entities + 1,) places of an entity's rows.
        times: (rows,) event times in microseconds, ascending per entity.
        arrivals: (rows,) instants of arrival; ignored for replayed entities.
        values: (columns, rows) int64 words.
        totals: (columns, rows + 1) running sums of `values`, or (0, 0) when they might overflow or values are missing.
        change_starts: (entities + 1,) places of an entity's changes; an entity without any is swept.
        change_rows: (changes,) the row that a change shows.
        change_arrivals: (changes,) instants of arrival, ascending per entity.
        change_values: (changes,) what the row's first value is from then on.
        ask_starts: (entities + 1,) places of an entity's requests.
        ask_order: (requests,) rows of `out`.
        ask_times: (requests,) instants asked for.
        ask_arrivals: (requests,) instants of asking; rows that arrived before take part.
        cells: (cells, 7) op, column, start, end, scale, real, output.
        out: (all requests, features) float64.
    """
    for entity in range(first, last):
        if ask_starts[entity] == ask_starts[entity + 1]:
            continue
        if change_starts[entity] < change_starts[entity + 1]:
            _replay(
                starts[entity],
                starts[entity + 1],
                times,
                values,
                change_rows,
                change_arrivals,
                change_values,
                change_starts[entity],
                change_starts[entity + 1],
                ask_order,
                ask_times,
                ask_arrivals,
                ask_starts[entity],
                ask_starts[entity + 1],
                cells,
                out,
            )
        else:
            _slide(
                starts[entity],
                starts[entity + 1],
                times,
                arrivals,
                values,
                totals,
                ask_order,
                ask_times,
                ask_arrivals,
                ask_starts[entity],
                ask_starts[entity + 1],
                cells,
                out,
            )


@kernel
def _slide(  # type: ignore[no-untyped-def]
    begin, end, times, arrivals, values, totals, ask_order, ask_times, ask_arrivals, ask_begin, ask_end, cells, out
):
    """Window edges move with the requests, forth and, where requests are out of order, back."""
    lows = np.full(len(cells), begin)
    highs = np.full(len(cells), begin)
    arrived = begin
    everything = np.empty(0, np.uint8)
    for ask in range(ask_begin, ask_end):
        row, time, asked = ask_order[ask], ask_times[ask], ask_arrivals[ask]
        while arrived < end and arrivals[arrived] < asked:
            arrived += 1
        while arrived > begin and arrivals[arrived - 1] >= asked:
            arrived -= 1
        for c in range(len(cells)):
            op, column, scale = cells[c, 0], cells[c, 1], cells[c, 4]
            low = _edge(times, lows[c], begin, end, time - cells[c, 2])
            high = _edge(times, highs[c], begin, end, time - cells[c, 3])
            lows[c], highs[c] = low, high
            high = min(high, arrived)
            if high <= low:
                out[row, cells[c, 6]] = empty(op)
            elif op == COUNT:
                out[row, cells[c, 6]] = np.float64(high - low)
            elif len(totals) and op in (SUM, MEAN):
                total = totals[column, high] - totals[column, low]
                out[row, cells[c, 6]] = quotient(total, scale * (high - low if op == MEAN else 1))
            else:
                out[row, cells[c, 6]] = fold(op, cells[c, 5], scale, values[column], everything, low, high)


@kernel
def _edge(times, edge, begin, end, instant):  # type: ignore[no-untyped-def]
    """First place at or after `instant`, from a place nearby."""
    while edge < end and times[edge] < instant:
        edge += 1
    while edge > begin and times[edge - 1] >= instant:
        edge -= 1
    return edge


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
    ask_order,
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
        row, time = ask_order[ask], ask_times[ask]
        while change < change_end and change_arrivals[change] < ask_arrivals[ask]:
            place = change_rows[change] - begin
            shown[place] = 1
            if len(mine):
                mine[0, place] = change_values[change]
            change += 1
        for c in range(len(cells)):
            low = np.searchsorted(instants, time - cells[c, 2])
            high = np.searchsorted(instants, time - cells[c, 3])
            column = max(cells[c, 1], 0)
            own = mine[column] if len(mine) else instants
            out[row, cells[c, 6]] = fold(cells[c, 0], cells[c, 5], cells[c, 4], own, shown, low, high)
