"""Row features of a handful of live requests: the same expressions as offline, on a small frame."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from feature_defs.engine import expressions, requests
from feature_defs.engine.plan import Plan
from feature_defs.engine.records import Event
from feature_defs.engine.values import Floats


class RowFeatures:
    """Fills the columns of row features from requests and from the window features already in the matrix."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._outputs = [position for position, _ in plan.rows]
        rows = set(self._outputs)
        self._windows = [(position, name) for position, name in enumerate(plan.names) if position not in rows]

    def fill(self, events: Sequence[Event], vectors: Floats) -> None:
        """Write the row features of `events` into `vectors`, one row each, NaN where null."""
        if not self._outputs:
            return
        windows = {}
        for position, name in self._windows:
            values = pl.Series(name, np.ascontiguousarray(vectors[:, position]))
            windows[name] = values.cast(pl.Int64) if self._plan.whole[position] else values.fill_nan(None)
        made = expressions.evaluate(self._plan, requests.frame(self._plan.task.events, events), windows)
        for position, column in zip(self._outputs, made.columns, strict=True):
            vectors[:, position] = made[column].fill_null(np.nan).to_numpy()
