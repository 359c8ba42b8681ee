"""The state of one entity: its rows as int64 words, `[rows, floor, times..., ids..., column 0..., column 1..., ...]`.

Rows are in `(event_time, id)` order. Everything evicted had an event time below `floor`.
Where the words are kept, and how ids are numbered, is the store's business.
"""

import numpy as np

from feature_defs.engine.compiled.fold import empty, fold
from feature_defs.engine.jit import kernel

HEAD = 2
NEVER = np.int64(-(2**63))


@kernel
def read(words, time, cells, out):  # type: ignore[no-untyped-def]
    """Fill `out[cell output]` as of `time`. False when a window reaches below the floor, where rows are missing."""
    if len(words) == 0:
        for c in range(len(cells)):
            out[cells[c, 6]] = empty(cells[c, 0])
        return True
    rows, floor = words[0], words[1]
    times = words[HEAD : HEAD + rows]
    shown = np.empty(0, np.uint8)
    exact = True
    for c in range(len(cells)):
        start = time - cells[c, 2]
        exact &= start >= floor
        low = np.searchsorted(times, start)
        high = np.searchsorted(times, time - cells[c, 3])
        begin = HEAD + (2 + cells[c, 1]) * rows
        out[cells[c, 6]] = fold(cells[c, 0], cells[c, 5], cells[c, 4], words[begin : begin + rows], shown, low, high)
    return exact


@kernel
def insert(words, time, row_id, values, place, reach):  # type: ignore[no-untyped-def]
    """The words with one row more, or with the row's values replaced when it is there already.

    `place` is where among the rows the new one goes, or -1 to go by id within equal times.
    Rows that are older than the newest by more than `reach` leave, and raise the floor.
    """
    rows = words[0] if len(words) else 0
    floor = words[1] if len(words) else NEVER
    times = words[HEAD : HEAD + rows]
    ids = words[HEAD + rows : HEAD + 2 * rows]
    first = np.searchsorted(times, time)
    here = first
    while here < rows and times[here] == time:
        if ids[here] == row_id:
            changed = words.copy()
            for c in range(len(values)):
                changed[HEAD + (2 + c) * rows + here] = values[c]
            return changed
        here += 1
    if time < floor:
        return words.copy()
    if place < 0:
        place = first
        while place < rows and times[place] == time and ids[place] < row_id:
            place += 1
    oldest = max(time, times[rows - 1] if rows else time) - reach
    keep = np.searchsorted(times, oldest)
    if keep > 0:
        floor = max(floor, times[keep - 1] + 1)
    if time < oldest:
        # The row itself is too old to stay.
        floor = max(floor, time + 1)
        return _without(words, rows, keep, floor)
    total = rows - keep + 1
    result = np.empty(HEAD + (2 + len(values)) * total, np.int64)
    result[0], result[1] = total, floor
    for c in range(2 + len(values)):
        source = words[HEAD + c * rows : HEAD + (c + 1) * rows]
        target = result[HEAD + c * total : HEAD + (c + 1) * total]
        target[: place - keep] = source[keep:place]
        target[place - keep] = time if c == 0 else (row_id if c == 1 else values[c - 2])
        target[place - keep + 1 :] = source[place:]
    return result


@kernel
def _without(words, rows, keep, floor):  # type: ignore[no-untyped-def]
    columns = (len(words) - HEAD) // rows
    total = rows - keep
    result = np.empty(HEAD + columns * total, np.int64)
    result[0], result[1] = total, floor
    for c in range(columns):
        result[HEAD + c * total : HEAD + (c + 1) * total] = words[HEAD + c * rows + keep : HEAD + (c + 1) * rows]
    return result


@kernel
def gather(times, ids, values, begin, end, reach):  # type: ignore[no-untyped-def]
    """The words of an entity whose rows are `begin` to `end` of arrays in `(event_time, id)` order."""
    oldest = times[end - 1] - reach
    keep = begin + np.searchsorted(times[begin:end], oldest)
    total = end - keep
    result = np.empty(HEAD + (2 + len(values)) * total, np.int64)
    result[0] = total
    result[1] = times[keep - 1] + 1 if keep > begin else NEVER
    result[HEAD : HEAD + total] = times[keep:end]
    result[HEAD + total : HEAD + 2 * total] = ids[keep:end]
    for c in range(len(values)):
        result[HEAD + (2 + c) * total : HEAD + (3 + c) * total] = values[c, keep:end]
    return result
