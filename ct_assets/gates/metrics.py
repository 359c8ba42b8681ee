"""Metrics of scores against binary labels. Ties in the scores never depend on the order of rows.

Labels are 0 or 1, scores are larger for class 1, weights are non-negative; all have shape (n,).
Intervals around metrics live in `bootstrap`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Curve:
    """Weight of positives and of all rows scored at or above each distinct score, scores falling."""

    scores: Array
    positives: Array
    rows: Array


def curve(labels: ArrayLike, scores: ArrayLike, weights: ArrayLike | None = None) -> Curve:
    """Cumulative weights by distinct score; what every ranking metric here is read from.

    Raises:
        ValueError: lengths differ, or a score is not finite.
    """
    truth, score = np.asarray(labels, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    weight = np.ones(len(truth)) if weights is None else np.asarray(weights, dtype=np.float64)
    if not truth.shape == score.shape == weight.shape:
        raise ValueError(f"labels {truth.shape}, scores {score.shape} and weights {weight.shape} differ in shape")
    if not np.isfinite(score).all():
        raise ValueError(f"{int((~np.isfinite(score)).sum()):,} of {len(score):,} scores are not finite")
    order = np.argsort(-score, kind="stable")
    score, weight = score[order], weight[order]
    last_of_tie = np.append(score[1:] != score[:-1], True) if len(score) else np.empty(0, bool)
    return Curve(score[last_of_tie], np.cumsum(weight * truth[order])[last_of_tie], np.cumsum(weight)[last_of_tie])


def average_precision(labels: ArrayLike, scores: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Precision averaged over recall, without interpolation; nan without positives.

    >>> round(average_precision([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]), 4)
    0.8333
    """
    points = curve(labels, scores, weights)
    total = points.positives[-1] if len(points.positives) else 0.0
    if total == 0:
        return float("nan")
    gained = np.diff(points.positives, prepend=0.0)
    hit = gained > 0
    return float(np.sum(gained[hit] * points.positives[hit] / points.rows[hit]) / total)


def roc_auc(labels: ArrayLike, scores: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Probability that a positive outscores a negative, ties counting half; nan without both classes."""
    points = curve(labels, scores, weights)
    if not len(points.rows):
        return float("nan")
    negatives = points.rows - points.positives
    if points.positives[-1] == 0 or negatives[-1] == 0:
        return float("nan")
    area = np.trapezoid(np.append(0.0, points.positives), np.append(0.0, negatives))
    return float(area / (points.positives[-1] * negatives[-1]))


def logloss(labels: ArrayLike, scores: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Mean negative log-likelihood of probabilities, which are held off 0 and 1 by the width of a float64."""
    truth = np.asarray(labels, dtype=np.float64)
    weight = np.ones(len(truth)) if weights is None else np.asarray(weights, dtype=np.float64)
    tiny = np.finfo(np.float64).eps
    score = np.clip(np.asarray(scores, dtype=np.float64), tiny, 1 - tiny)
    return float(-np.average(truth * np.log(score) + (1 - truth) * np.log1p(-score), weights=weight))


def card_precision(labels: ArrayLike, scores: ArrayLike, cards: ArrayLike, days: ArrayLike, *, top: int) -> float:
    """Share of compromised cards among the `top` most suspicious ones, averaged over days.

    A card's score on a day is its highest; a card counts as compromised if any of its payments that day is. A card
    that was found is blocked: it is left out on the days after. Equal scores rank by card, smallest first.
    Source: Le Borgne et al., Reproducible Machine Learning for Credit Card Fraud Detection, chapter 4, "Precision top-k
    metrics".
    """
    truth, score = np.asarray(labels, dtype=bool), np.asarray(scores, dtype=np.float64)
    card, day = np.asarray(cards), np.asarray(days)
    blocked = np.empty(0, dtype=card.dtype)
    shares = []
    for today in np.unique(day):
        rows = np.flatnonzero((day == today) & ~np.isin(card, blocked))
        names, member = np.unique(card[rows], return_inverse=True)
        highest = np.full(len(names), -np.inf)
        np.maximum.at(highest, member, score[rows])
        compromised = np.zeros(len(names), dtype=bool)
        np.logical_or.at(compromised, member, truth[rows])
        suspects = np.argsort(-highest, kind="stable")[:top]
        found = names[suspects][compromised[suspects]]
        shares.append(len(found) / top)
        blocked = np.append(blocked, found)
    return float(np.mean(shares)) if shares else float("nan")


@dataclass(frozen=True, eq=False)
class Reliability:
    """Mean score, observed rate and number of rows per bin, scores rising."""

    predicted: Array
    observed: Array
    rows: NDArray[np.int64]


def reliability(labels: ArrayLike, scores: ArrayLike, *, bins: int = 10) -> Reliability:
    """Does a score of p mean a rate of p? Bins hold about equally many positives' worth of score.

    Equal counts of rows would put every positive of a rare class into the last bin, so bins are cut where the summed
    score (the expected positives) is even.
    """
    truth, score = np.asarray(labels, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    order = np.argsort(score, kind="stable")
    expected = np.cumsum(score[order])
    if not len(expected) or expected[-1] <= 0:
        return Reliability(np.empty(0), np.empty(0), np.empty(0, np.int64))
    ends = np.searchsorted(expected, expected[-1] * np.arange(1, bins + 1) / bins, side="left")
    starts = np.unique(np.append(0, np.minimum(ends[:-1] + 1, len(score) - 1)))
    rows = np.diff(np.append(starts, len(score)))
    return Reliability(np.add.reduceat(score[order], starts) / rows, np.add.reduceat(truth[order], starts) / rows, rows)
