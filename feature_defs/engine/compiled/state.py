"""The state of one entity: its rows as int64 words.

`[rows, floor, columns, summed, times..., ids..., column 0..., column 1..., ..., totals...]`, rows in
`(event_time, id)` order. Everything evicted had an event time below `floor`. A busy entity also has running totals of
the columns whose bit in `summed` is set, so that a read does not depend on how many rows its windows hold.
Where the words are kept, and how ids are numbered, is the store's business.
"""

import numpy as np

from feature_defs.engine.compiled.exact import quotient
from feature_defs.engine.compiled.fold import MEAN, NULL, SUM, empty, fold
from feature_defs.engine.jit import kernel

HEAD = 4
NEVER = np.int64(-(2**63))

# From so many rows on, adding up a window costs more than keeping totals does.
BUSY = 1024


@kernel
def read(words, time, cells, out):  # type: ignore[no-untyped-def]
    """Fill `out[cell output]` as of `time`. False when a window reaches below the floor, where rows are missing."""
    if len(words) == 0:
        for c in range(len(cells)):
            out[cells[c, 6]] = empty(cells[c, 0])
        return True
    rows, floor, columns, summed = words[0], words[1], words[2], words[3]
    times = words[HEAD : HEAD + rows]
    shown = np.empty(0, np.uint8)
    exact = True
    for c in range(len(cells)):
        op, column, scale, output = cells[c, 0], cells[c, 1], cells[c, 4], cells[c, 6]
        start = time - cells[c, 2]
        exact &= start >= floor
        low = np.searchsorted(times, start)
        high = np.searchsorted(times, time - cells[c, 3])
        if op in (SUM, MEAN) and high > low and (summed >> column) & 1:
            # Integer totals: the difference is the very sum that adding up would give.
            block = HEAD + (2 + columns) * rows
            for before in range(column):
                block += ((summed >> before) & 1) * (rows + 1)
            total = words[block + high] - words[block + low]
            out[output] = quotient(total, scale * (high - low if op == MEAN else 1))
        else:
            begin = HEAD + (2 + column) * rows
            out[output] = fold(op, cells[c, 5], scale, words[begin : begin + rows], shown, low, high)
    return exact


@kernel
def insert(words, time, row_id, values, place, reach, reals):  # type: ignore[no-untyped-def]
    """The words with one row more, or with the row's values replaced when it is there already.

    `place` is where among the rows the new one goes, or -1 to go by id within equal times; `reals` has a bit for each
    column of floats, which have no totals. Rows that are older than the newest by more than `reach` leave, and raise
    the floor.
    """
    rows = words[0] if len(words) else 0
    floor = words[1] if len(words) else NEVER
    times = words[HEAD : HEAD + rows]
    ids = words[HEAD + rows : HEAD + 2 * rows]
    first = np.searchsorted(times, time)
    here = first
    while here < rows and times[here] == time:
        if ids[here] == row_id:
            changed = words[: HEAD + (2 + len(values)) * rows].copy()
            for c in range(len(values)):
                changed[HEAD + (2 + c) * rows + here] = values[c]
            return _with_totals(changed, reals)
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
    # A row that is itself too old to stay only raises the floor.
    stays = time >= oldest
    if not stays:
        floor = max(floor, time + 1)
        place = keep
    total = rows - keep + (1 if stays else 0)
    result = _headed(total, floor, len(values))
    for c in range(2 + len(values)):
        source = words[HEAD + c * rows : HEAD + (c + 1) * rows]
        target = result[HEAD + c * total : HEAD + (c + 1) * total]
        target[: place - keep] = source[keep:place]
        if stays:
            target[place - keep] = time if c == 0 else (row_id if c == 1 else values[c - 2])
        target[total - (rows - place) :] = source[place:]
    return _with_totals(result, reals)


@kernel
def gather(times, ids, values, begin, end, reach, reals):  # type: ignore[no-untyped-def]
    """The words of an entity whose rows are `begin` to `end` of arrays in `(event_time, id)` order."""
    oldest = times[end - 1] - reach
    keep = begin + np.searchsorted(times[begin:end], oldest)
    total = end - keep
    result = _headed(total, times[keep - 1] + 1 if keep > begin else NEVER, len(values))
    result[HEAD : HEAD + total] = times[keep:end]
    result[HEAD + total : HEAD + 2 * total] = ids[keep:end]
    for c in range(len(values)):
        result[HEAD + (2 + c) * total : HEAD + (3 + c) * total] = values[c, keep:end]
    return _with_totals(result, reals)


@kernel
def _headed(rows, floor, columns):  # type: ignore[no-untyped-def]
    words = np.empty(HEAD + (2 + columns) * rows, np.int64)
    words[0], words[1], words[2], words[3] = rows, floor, columns, 0
    return words


@kernel
def _with_totals(words, reals):  # type: ignore[no-untyped-def]
    """The words with running totals appended, for a busy entity's columns without nulls that cannot overflow."""
    rows, columns = words[0], words[2]
    words[3] = 0
    if rows < BUSY:
        return words
    summed, count = 0, 0
    for c in range(columns):
        begin = HEAD + (2 + c) * rows
        column = words[begin : begin + rows]
        largest, missing = 0.0, False
        for value in column:
            missing |= value == NULL
            largest = max(largest, abs(np.float64(value)))
        if not missing and not (reals >> c) & 1 and largest * rows < 2.0**62:
            summed |= 1 << c
            count += 1
    result = np.empty(len(words) + count * (rows + 1), np.int64)
    result[: len(words)] = words
    result[3] = summed
    block = len(words)
    for c in range(columns):
        if (summed >> c) & 1:
            begin = HEAD + (2 + c) * rows
            result[block] = 0
            for row in range(rows):
                result[block + row + 1] = result[block + row] + words[begin + row]
            block += rows + 1
    return result
