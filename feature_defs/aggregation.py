"""What is asked of the rows of a window. Definitions only; the arithmetic lives in `engine`."""

from dataclasses import dataclass

KINDS = ("count", "sum", "mean", "std", "min", "max", "last", "distinct")


@dataclass(frozen=True)
class Aggregation:
    """An aggregation `kind` of a `column`; `None` means the rows themselves, or the label of a label window."""

    kind: str
    column: str | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"there is no aggregation {self.kind!r}; choose from {', '.join(KINDS)}")

    @property
    def whole(self) -> bool:
        """Whether the result is a count, an Int64 that is 0 for an empty window."""
        return self.kind in ("count", "distinct")


def count() -> Aggregation:
    """Number of rows."""
    return Aggregation("count")


def sum(column: str | None = None) -> Aggregation:  # noqa: A001 the field's own word
    """Exact sum; 0 for an empty window."""
    return Aggregation("sum", column)


def mean(column: str | None = None) -> Aggregation:
    """Exact mean: integer sum over count, one rounding."""
    return Aggregation("mean", column)


def std(column: str | None = None) -> Aggregation:
    """Sample standard deviation (divisor n - 1) from exact sums; null below two values."""
    return Aggregation("std", column)


def min(column: str | None = None) -> Aggregation:  # noqa: A001 the field's own word
    """Smallest value."""
    return Aggregation("min", column)


def max(column: str | None = None) -> Aggregation:  # noqa: A001 the field's own word
    """Largest value."""
    return Aggregation("max", column)


def last(column: str | None = None) -> Aggregation:
    """Value of the row with the greatest `(event_time, event_id)` that has one."""
    return Aggregation("last", column)


def distinct(column: str) -> Aggregation:
    """Exact number of different values."""
    return Aggregation("distinct", column)
