"""Is the challenger good enough? Average precision on the newest mature holdout, against the champion or a constant.

The arithmetic of the interval is in `bootstrap`; which rows are the holdout is decided in `ct_assets.training`.
"""

from collections.abc import Mapping
from math import ceil
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from ct_assets.gates.bootstrap import Difference, difference
from ct_assets.gates.verdict import Outcome, Verdict

NAME = "quality"

# Units with a positive, below which the bootstrap cannot see its own variance.
MIN_INFORMATIVE = 10

# Chance of a clear verdict that `Verdict.needs` plans for.
POWER = 0.8


def non_inferior(
    labels: ArrayLike,
    champion: ArrayLike,
    challenger: ArrayLike,
    *,
    clusters: Mapping[str, ArrayLike],
    margin: float,
    replicates: int,
    confidence: float,
) -> Verdict:
    """Is the challenger's average precision no worse than the champion's by more than `margin`?

    With bounds one-sided at `confidence` each, under the clustering with the larger error: `pass` when the lower bound
    is above -margin, `fail` when the upper bound is below it, `inconclusive` between: more mature labels are needed.
    An equal challenger passes with 80 % power once the standard error is below margin / 2.5.
    """
    if not np.asarray(labels, dtype=bool).any():
        return _without_positives(labels, margin)
    found = difference(labels, champion, challenger, clusters=clusters, replicates=replicates)
    return _verdict(found, labels, bar=-margin, margin=margin, confidence=confidence, than="the champion")


def better_than_constant(
    labels: ArrayLike,
    challenger: ArrayLike,
    *,
    clusters: Mapping[str, ArrayLike],
    margin: float,
    replicates: int,
    confidence: float,
) -> Verdict:
    """Without a champion: does the challenger beat one score for all by more than `margin`?

    A constant score's average precision is the share of positives. A candidate that learnt nothing stays near it, so
    the bar is +margin here, and such a candidate fails rather than waits.
    """
    if not np.asarray(labels, dtype=bool).any():
        return _without_positives(labels, margin)
    constant = np.zeros(np.shape(labels))
    found = difference(labels, constant, challenger, clusters=clusters, replicates=replicates)
    return _verdict(found, labels, bar=margin, margin=margin, confidence=confidence, than="a constant score")


def _verdict(
    found: Difference, labels: ArrayLike, *, bar: float, margin: float, confidence: float, than: str
) -> Verdict:
    rows, quantile = np.size(np.asarray(labels)), NormalDist().inv_cdf(confidence)
    low = found.estimate - quantile * found.standard_error
    high = found.estimate + quantile * found.standard_error
    units = min(found.informative.values())
    outcome: Outcome = "pass" if low > bar else "fail" if high < bar else "inconclusive"
    detail = (
        f"average precision {found.challenger:.4f} against {found.champion:.4f} of {than}: "
        f"difference {found.estimate:+.4f} [{low:+.4f}, {high:+.4f}], to pass it must lie above {bar:+.4f}"
    )
    needs = None
    if units < MIN_INFORMATIVE:
        outcome, needs = "inconclusive", ceil(rows * MIN_INFORMATIVE / units)
        detail += f"; only {units} independent units have a positive, {MIN_INFORMATIVE} are needed for an interval"
    elif outcome == "inconclusive":
        detail += "; the interval covers it"
        # The error shrinks with the root of the rows. Planned at the distance found, but no farther from the bar than
        # an equal challenger is; without a margin no number of rows tells equal from worse.
        if distance := min(max(abs(found.estimate - bar), margin / 4), margin):
            reach = (quantile + NormalDist().inv_cdf(POWER)) * found.standard_error
            needs = ceil(rows * (reach / distance) ** 2)
            detail += f": about {needs:,} mature rows would settle it"
    return Verdict(
        name=NAME,
        outcome=outcome,
        estimate=found.estimate,
        low=low,
        high=high,
        margin=margin,
        sample={
            "rows": rows,
            "positives": int(np.count_nonzero(np.asarray(labels))),
            "average_precision": found.challenger,
            "champion_average_precision": found.champion,
            "clusters": dict(found.clusters),
            "clusters_with_positives": dict(found.informative),
            "standard_errors": dict(found.errors),
        },
        method=(
            f"difference in average precision; paired Poisson bootstrap by {found.deciding}, "
            f"{found.replicates} replicates, one-sided bounds at {confidence:.0%}"
        ),
        detail=detail,
        needs=needs,
    )


def _without_positives(labels: ArrayLike, margin: float) -> Verdict:
    rows = np.size(np.asarray(labels))
    return Verdict(
        name=NAME,
        outcome="inconclusive",
        margin=margin,
        sample={"rows": rows, "positives": 0},
        method="difference in average precision",
        detail=f"none of {rows:,} mature rows in the holdout is positive: wait for labels, or widen `Policy.holdout`",
    )
