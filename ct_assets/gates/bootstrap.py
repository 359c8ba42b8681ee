"""Paired Poisson bootstrap of a difference in average precision, over clusters of rows that are not independent.

What the interval means for a candidate is decided in `quality`.

Sources: Chamandy, Muralidharan, Najmi and Naidu, Estimating Uncertainty for Massive Data Streams (2012): independent
Poisson(1) weights per unit in place of resampling. Cameron and Miller, A Practitioner's Guide to Cluster-Robust
Inference (2015), section IV: of several plausible clusterings, the larger error is the safe one.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ct_assets.gates.metrics import average_precision

Array = NDArray[np.float64]

# Cells of the (replicates, rows) matrix of weights held at once: one byte each.
BLOCK = 2**25


@dataclass(frozen=True)
class Difference:
    """Average precision of challenger minus champion, and the standard error that decides.

    `errors` holds the standard error under each clustering, `clusters` the number of its units, and `informative` the
    number of those with a positive: with few of them the bootstrap cannot see its own variance.
    """

    estimate: float
    champion: float
    challenger: float
    errors: Mapping[str, float]
    clusters: Mapping[str, int]
    informative: Mapping[str, int]
    replicates: int

    @property
    def deciding(self) -> str:
        """The clustering with the largest standard error."""
        return max(self.errors, key=lambda name: self.errors[name])

    @property
    def standard_error(self) -> float:
        """The largest standard error over the clusterings."""
        return self.errors[self.deciding]


def difference(
    labels: ArrayLike,
    champion: ArrayLike,
    challenger: ArrayLike,
    *,
    clusters: Mapping[str, ArrayLike],
    replicates: int,
    seed: int = 0,
) -> Difference:
    """Bootstrap the paired difference: both models are weighed alike in each replicate.

    `labels`, `champion`, `challenger` and every clustering have shape (n,). Deterministic given `seed`.

    Raises:
        ValueError: there is no clustering, or there are no positives.
    """
    truth = np.asarray(labels, dtype=bool)
    if not clusters:
        raise ValueError("no clustering given; pass row numbers as one if rows are independent")
    if not truth.any():
        raise ValueError(f"none of {len(truth):,} labels is positive; average precision needs at least one")
    ranked = {"champion": _Ranking.of(truth, champion), "challenger": _Ranking.of(truth, challenger)}
    errors, sizes, informative = {}, {}, {}
    for name, keys in clusters.items():
        units, unit = np.unique(np.asarray(keys), return_inverse=True)
        sizes[name], informative[name] = len(units), len(np.unique(unit[truth]))
        # Seeded alike for every clustering: an error does not depend on which others were asked for.
        draws = np.random.default_rng(seed)
        deltas = []
        for block in _blocks(replicates, max(1, BLOCK // len(truth))):
            weights = draws.poisson(1.0, (block, len(units))).astype(np.uint8)
            deltas.append(ranked["challenger"].replicate(weights, unit) - ranked["champion"].replicate(weights, unit))
        # A replicate in which every positive weighs nothing has no average precision.
        values = np.concatenate(deltas)
        values = values[np.isfinite(values)]
        errors[name] = float(values.std(ddof=1)) if len(values) > 1 else float("inf")
    before, after = average_precision(truth, champion), average_precision(truth, challenger)
    return Difference(after - before, before, after, errors, sizes, informative, replicates)


@dataclass(frozen=True, eq=False)
class _Ranking:
    """Rows by falling score, cut after each tie group that holds a positive: all that average precision can see."""

    order: NDArray[np.intp]
    starts: NDArray[np.intp]
    positives: NDArray[np.intp]
    positive_starts: NDArray[np.intp]

    @classmethod
    def of(cls, truth: NDArray[np.bool_], scores: ArrayLike) -> "_Ranking":
        score = np.asarray(scores, dtype=np.float64)
        order = np.argsort(-score, kind="stable")
        hit, ordered = truth[order], score[order]
        group = np.append(0, np.cumsum(ordered[1:] != ordered[:-1]))
        ends = np.flatnonzero(np.append(group[1:] != group[:-1], True))[np.unique(group[hit])]
        # Rows after the last positive do not matter.
        starts = np.append(0, ends[:-1] + 1)
        order = order[: ends[-1] + 1]
        positives = order[truth[order]]
        _, positive_starts = np.unique(group[hit], return_index=True)
        return cls(order, starts, positives, positive_starts)

    def replicate(self, weights: NDArray[np.uint8], unit: NDArray[np.intp]) -> Array:
        """Average precision under each row of `weights` (replicates, clusters); nan where positives weigh nothing."""
        rows = np.add.reduceat(weights[:, unit[self.order]], self.starts, axis=1, dtype=np.int64)
        gained = np.add.reduceat(weights[:, unit[self.positives]], self.positive_starts, axis=1, dtype=np.int64)
        found, seen = np.cumsum(gained, axis=1), np.cumsum(rows, axis=1)
        with np.errstate(invalid="ignore"):
            total: Array = np.sum(gained * found / np.maximum(seen, 1), axis=1) / found[:, -1]
        return total


def _blocks(total: int, size: int) -> list[int]:
    return [min(size, total - start) for start in range(0, total, size)]
