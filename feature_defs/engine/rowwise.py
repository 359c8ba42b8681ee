"""Row features of a handful of live requests: the same expressions as offline, on a small frame.

Polars costs by the call, not by the row: everything that does not change is prepared once, and columns that no
expression reads are not made.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl

from feature_defs.engine import expressions
from feature_defs.engine.plan import Plan
from feature_defs.engine.records import Event
from feature_defs.engine.values import Floats
from feature_defs.stream import INSTANT


class RowFeatures:
    """Fills the columns of row features from requests and from the window features already in the matrix."""

    def __init__(self, plan: Plan) -> None:
        self._outputs = [position for position, _ in plan.rows]
        self._expressions = expressions.prepared(plan)
        stream, wanted = plan.task.events, expressions.inputs(plan)
        self._key = (stream.key, stream.key_type.dtype()) if stream.key in wanted else None
        # Without any column a frame has no rows; time is the one that every request has.
        self._time = stream.time
        self._columns = [(name, column.dtype()) for name, column in stream.columns.items() if name in wanted]
        rows = set(self._outputs)
        self._windows = [
            (position, name, plan.whole[position])
            for position, name in enumerate(plan.names)
            if position not in rows and name in wanted
        ]

    def fill(self, events: Sequence[Event], vectors: Floats) -> None:
        """Write the row features of `events` into `vectors`, one row each, NaN where null."""
        if not self._outputs:
            return
        times = pl.Series(self._time, [event.event_time_us for event in events], pl.Int64)
        columns = [times.cast(INSTANT)]
        if self._key is not None:
            columns.append(pl.Series(self._key[0], [event.event_id for event in events], self._key[1]))
        for name, dtype in self._columns:
            columns.append(pl.Series(name, [event.values[name] for event in events], dtype))
        for position, name, whole in self._windows:
            values = pl.Series(name, np.ascontiguousarray(vectors[:, position]))
            columns.append(values.cast(pl.Int64) if whole else values.fill_nan(None))
        made = pl.DataFrame(columns).select(self._expressions)
        # As float64 a None is NaN, so that nothing need be filled: each step of Polars costs more than these rows.
        outputs = np.array(made.rows(), np.float64)
        # 0 / 0 is a NaN of the other sign; undefined has one pattern.
        outputs[np.isnan(outputs)] = np.nan
        vectors[:, self._outputs] = outputs
