"""What is asked of the rows of a window. Definitions only; the arithmetic lives in `engine`."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Aggregation:
    """An aggregation `kind` of a `column`; `None` means the rows themselves, or the label of a label window."""

    kind: str
    column: str | None = None


def count() -> Aggregation:
    """Number of rows."""
    return Aggregation("count")


def mean(column: str | None = None) -> Aggregation:
    """Exact mean: integer sum over count, one rounding."""
    return Aggregation("mean", column)
