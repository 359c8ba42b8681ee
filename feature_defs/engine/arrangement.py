"""Columns in entity order, by the compiled counting sort."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from feature_defs.engine.values import Integers


class Arranged(NamedTuple):
    """Columns in entity order; `places` says where each row went (-1: left out), `starts` where each entity begins.

    `backwards` tells per entity whether its rows arrived in another order than that of their times.
    """

    starts: Integers
    places: Integers
    times: Integers
    arrivals: Integers
    values: Integers
    backwards: npt.NDArray[np.bool_]


def arrange(ids: npt.NDArray[np.int32], count: int, times: Integers, arrivals: Integers, values: Integers) -> Arranged:
    """Bring columns into entity order, stably; `arrivals` may be empty, `values` is (columns, rows)."""
    from feature_defs.engine.compiled.order import place, starts_of

    starts = starts_of(ids, count)
    total = int(starts[count])
    # NumPy asks the system for huge pages, a compiled kernel would not: most of the time here is page faults.
    places, new_times = np.empty(len(ids), np.int64), np.empty(total, np.int64)
    new_arrivals, new_values = (
        np.empty(total if len(arrivals) else 0, np.int64),
        np.empty((len(values), total), np.int64),
    )
    backwards = place(ids, starts, times, arrivals, values, places, new_times, new_arrivals, new_values)
    return Arranged(starts, places, new_times, new_arrivals, new_values, backwards)
