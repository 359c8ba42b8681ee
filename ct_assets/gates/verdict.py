"""A verdict: what a gate found, with the numbers that led to it. How a gate finds it lives with the gate."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Outcome = Literal["pass", "fail", "inconclusive"]


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The outcome of one gate on one candidate.

    `inconclusive` is an outcome of its own: it never promotes, and `needs` says what would settle it.

    `estimate`, `low`, `high` and `margin` share one unit, named in `method`; None where a gate has no such number.
    `sample` says what was looked at (rows, positives, clusters, scores of both models).
    """

    name: str
    outcome: Outcome
    method: str
    detail: str
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    margin: float | None = None
    sample: Mapping[str, Any] = field(default_factory=dict)
    needs: int | None = None

    @property
    def passed(self) -> bool:
        """Whether this verdict allows a promotion."""
        return self.outcome == "pass"
