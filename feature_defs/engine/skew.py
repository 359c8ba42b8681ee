"""Skew: do two sets of vectors agree to the bit? Where the vectors come from is the caller's business."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl


@dataclass(frozen=True)
class Skew:
    """How served vectors differ from recomputed ones. Zero is the only pass.

    `compared` counts feature values, `mismatched` those whose 64-bit words differ; `missing` are served events
    that were not recomputed, `extra` recomputed ones that were not served; `by_feature` splits `mismatched`.
    """

    compared: int
    mismatched: int
    missing: int
    extra: int
    by_feature: dict[str, int]

    @property
    def passed(self) -> bool:
        """Whether every vector was found and every word is equal."""
        return not (self.mismatched or self.missing or self.extra)


def compare(served: pl.DataFrame, recomputed: pl.DataFrame, names: Sequence[str], *, key: str = "event_id") -> Skew:
    """Compare the features `names` of two frames, row by row of equal `key`, as 64-bit words.

    A null equals a null and nothing else. A key must name one row on each side.

    Raises:
        ValueError: a key names several rows of one side.
    """
    for side, frame in (("served", served), ("recomputed", recomputed)):
        if frame[key].is_duplicated().any():
            raise ValueError(f"{side}: {key} names several rows; compare one prediction per {key}")
    both = served.select(key, *names).join(recomputed.select(key, *names), on=key, how="inner", suffix="_again")
    by_feature = {name: int((words(both[name]) != words(both[f"{name}_again"])).sum()) for name in names}
    return Skew(
        compared=len(both) * len(names),
        mismatched=sum(by_feature.values()),
        missing=len(served) - len(both),
        extra=len(recomputed) - len(both),
        by_feature=by_feature,
    )


def words(values: pl.Series) -> np.ndarray:
    """The float64 bits of a feature as uint64, with one pattern for null."""
    return values.cast(pl.Float64).fill_null(np.nan).to_numpy().view(np.uint64)
