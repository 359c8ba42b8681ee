"""What a row must satisfy to enter the lake: one rule table per stream, derived from its column types, and the split.

The same table becomes a Great Expectations suite in `expectations`. What a source must look like is in `sources`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import polars as pl

from feature_defs.columns import Column, Decimal, Int64
from feature_defs.task import Task

StreamName = Literal["events", "labels", "predictions"]
Bound = float | int | datetime

# Instants outside are a wrong unit (milliseconds read as microseconds), not history and not forecasts.
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(2100, 1, 1, tzinfo=UTC)

KEYS: dict[str, tuple[str, ...]] = {
    "events": ("event_id",),
    "labels": ("event_id", "kind", "available_at"),
    "predictions": ("sequence", "prediction_id"),
}

UNREADABLE = "__unreadable"
ROW = "row"


@dataclass(frozen=True)
class Rule:
    """One rule: `kind` over `columns`, named by `id` wherever a row is refused. A null keeps every rule but `not_null`.

    `severity` is "critical" when a row that breaks it is refused, "warning" when it is only reported: copies of a key
    are told apart by content when they are delivered.
    """

    kind: Literal["readable", "not_null", "between", "one_of", "not_before", "unique"]
    columns: tuple[str, ...]
    says: str
    lower: Bound | None = None
    upper: Bound | None = None
    values: tuple[int | str, ...] = ()
    severity: Literal["critical", "warning"] = "critical"

    @property
    def id(self) -> str:
        """`amount.not_null`: what the `rules` of a quarantined row list."""
        return f"{'+'.join(self.columns)}.{self.kind}"

    @property
    def broken(self) -> pl.Expr:
        """True where a row breaks the rule; never null."""
        column = pl.col(self.columns[0])
        match self.kind:
            case "readable":
                broken = pl.col(self.columns[0] + UNREADABLE)
            case "not_null":
                return column.is_null()
            case "between":
                broken = pl.lit(False)
                if self.lower is not None:
                    broken = broken | (column < self.lower)
                if self.upper is not None:
                    broken = broken | (column > self.upper)
            case "one_of":
                broken = ~column.is_in(self.values)
            case "not_before":
                broken = column < pl.col(self.columns[1])
            case "unique":
                known = pl.all_horizontal(pl.col(name).is_not_null() for name in self.columns)
                broken = pl.struct(self.columns).is_duplicated() & known
        return broken.fill_null(False)


def rules(task: Task, stream: StreamName) -> tuple[Rule, ...]:
    """The contract of a stream, column by column. Predictions are our own: they have no rules."""
    if stream == "predictions":
        return ()
    key = _column("event_id", task.events.key_type)
    unique = Rule("unique", KEYS[stream], f"{' and '.join(KEYS[stream])} name one row", severity="warning")
    whole = Rule("readable", (ROW,), "the row can be split into columns")
    if stream == "labels":
        named = (
            Rule("one_of", ("label",), "label is 0 or 1", values=(0, 1)),
            Rule("one_of", ("kind",), "kind is truth or proxy", values=("truth", "proxy")),
        )
        stated = [*_given("label", "0 or 1"), *_given("kind", "text"), *named]
        return (whole, *key, *stated, *_instant("available_at"), unique)
    arrival = Rule("not_before", ("available_at", "event_time"), "available_at is not before event_time")
    columns = [rule for name, column in task.events.columns.items() for rule in _column(name, column)]
    return (whole, *key, *_instant("event_time"), *_instant("available_at"), arrival, *columns, unique)


def split(table: Sequence[Rule], rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """`rows` that keep every critical rule, and the others with the ids of all they broke in the column `rules`."""
    refusing = [rule for rule in table if rule.severity == "critical"]
    broken = rows.select(pl.any_horizontal(rule.broken for rule in refusing)).to_series() if refusing else None
    if broken is None or not broken.any():
        return rows, rows.clear().with_columns(rules=pl.lit(None, pl.List(pl.String)))
    bad = rows.filter(broken)
    # Reasons cost ten times the verdict, so only rows that need them get any.
    reasons = pl.concat_list(pl.when(_reason(rule, refusing)).then(pl.lit(rule.id)) for rule in refusing)
    return rows.filter(~broken), bad.with_columns(rules=reasons.list.drop_nulls())


def _reason(rule: Rule, table: Sequence[Rule]) -> pl.Expr:
    """Where to name a broken rule: not where it only follows from another one that is named.

    A value that cannot be read, or stands in a row that cannot, is null too; and an arrival that nobody stated is the
    event's own time.
    """
    implied: list[pl.Expr] = []
    if rule.kind == "not_null":
        implied += [
            other.broken for other in table if other.kind == "readable" and other.columns in ((ROW,), rule.columns)
        ]
    if rule.columns == ("available_at",):
        implied += [other.broken for other in table if other.kind == rule.kind and other.columns == ("event_time",)]
    return rule.broken & ~pl.any_horizontal(implied) if implied else rule.broken


def _column(name: str, column: Column) -> list[Rule]:
    whole = "whole number of 64 bits" if isinstance(column, Int64) else f"value of type {column.dtype()}"
    found = _given(name, whole, nullable=column.nullable)
    lower, upper = column.min, column.max
    if isinstance(column, Decimal):
        lower = max(-column.limit, -column.limit if lower is None else lower)
        upper = min(column.limit, column.limit if upper is None else upper)
    if lower is not None or upper is not None:
        left = "" if lower is None else f"{lower:,.12g} <= "
        right = "" if upper is None else f" <= {upper:,.12g}"
        found.append(Rule("between", (name,), f"{left}{name}{right}", lower, upper))
    return found


def _instant(name: str) -> list[Rule]:
    years = f"{name} lies between {EARLIEST.year} and {LATEST.year}"
    return [*_given(name, "instant"), Rule("between", (name,), years, EARLIEST, LATEST)]


def _given(name: str, what: str, *, nullable: bool = False) -> list[Rule]:
    readable = Rule("readable", (name,), f"{name} can be read: {what}")
    return [readable] if nullable else [readable, Rule("not_null", (name,), f"{name} is not null")]
