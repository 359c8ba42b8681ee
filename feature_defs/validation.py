"""What is wrong with a definition, said where it is made: which feature, what, and what to write instead."""

from collections.abc import Sequence

import polars as pl

from feature_defs import duration, expression
from feature_defs.aggregation import Aggregation
from feature_defs.columns import EXACT_LIMIT, Column, Decimal, Flag, Int32, Int64, Real, Text
from feature_defs.feature import Row, Window
from feature_defs.stream import INSTANT, Label, Stream

RESERVED = frozenset(
    (
        *("event_id", "event_time", "event_date", "available_at", "source", "offset"),
        *("label", "label_available_at", "kind", "mature", "as_of", "feature_hash"),
        *("prediction_id", "sequence", "request", "score", "decision", "version", "role", "exposed"),
    )
)
NARROWEST = duration.microseconds("1m")
WIDEST = duration.microseconds("90d")

# Sums of bounded columns are safe for this many rows in a window; beyond it the engine checks while it runs.
ROWS_PER_WINDOW = 2**24


def check(stream: Stream, label: Label, features: Sequence[Row | Window]) -> None:
    """Refuse features that cannot be computed exactly.

    Raises:
        ValueError: it names the feature, what is wrong, and what to write instead.
    """
    if label.of != stream:
        raise ValueError(f"label {label.name}: it is of stream {label.of.name}, the task's events are {stream.name}")
    names: list[str] = []
    counted: dict[str, pl.DataType] = {}
    for feature in features:
        if isinstance(feature, Row):
            names.append(feature.name)
            continue
        _check_window(stream, label, feature)
        for column in feature.features:
            names.append(column.name)
            counted[column.name] = pl.Int64() if column.aggregation.whole else pl.Float64()
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"feature names {repeated} are defined twice; rename one of each, or give its Window a `name`")
    if taken := sorted(RESERVED & set(names)):
        raise ValueError(f"feature names {taken} are taken by the lake's own columns; rename them")
    if taken := sorted(set(counted) & {*stream.columns, stream.key, stream.time}):
        raise ValueError(f"window features {taken} are named like columns of {stream.name}; rename the column")
    request = _request(stream)
    for feature in features:
        if isinstance(feature, Row):
            expression.check(feature.expression, request | counted, f"row feature {feature.name}")


def _request(stream: Stream) -> dict[str, pl.DataType]:
    """What a request looks like to an expression: the stream's own names."""
    columns = {name: column.dtype() for name, column in stream.columns.items()}
    return {stream.key: stream.key_type.dtype(), stream.time: INSTANT, **columns}


def _check_window(stream: Stream, label: Label, window: Window) -> None:
    what = f"window of {window.entity.name} over {window.of.name}"
    if window.of not in (stream, label):
        raise ValueError(f"{what}: the task knows stream {stream.name} and label {label.name}; use one of them")
    key = stream.columns.get(window.entity.key)
    if key is None:
        raise ValueError(f"{what}: no column {window.entity.key}; there is: {', '.join(stream.columns)}")
    if isinstance(key, Decimal | Real):
        raise ValueError(f"{what}: {window.entity.key} names nobody; a key is Int32, Int64 or Text")
    if not window.aggregations or not window.over:
        raise ValueError(f'{what}: it computes nothing; give aggregations and `over`, as in [count()], over=["7d"]')
    for width in window.over:
        if not NARROWEST <= duration.microseconds(width) <= WIDEST:
            raise ValueError(f'{what}: width {width} is outside "1m" to "90d"')
    _check_reach(what, stream, window)
    if isinstance(window.of, Label) and window.delay is None:
        raise ValueError(
            f'{what}: labels come late; write delay="{window.of.horizon}" to count only mature ones, or delay="0s" to '
            "count each from its stated arrival on"
        )
    if window.where is not None:
        if not window.name:
            raise ValueError(f'{what}: a filtered window must say so in its columns; add a name, as in name="abroad"')
        expression.check(window.where, _request(stream), f"{what}: where", flag=True)
    for aggregation in window.aggregations:
        _check_aggregation(f"{what}: {aggregation.kind}", stream, window, aggregation)


def _check_reach(what: str, stream: Stream, window: Window) -> None:
    reach = window.delay_us + max(duration.microseconds(width) for width in window.over)
    if reach + stream.lateness_us > duration.microseconds(stream.retention):
        raise ValueError(
            f"{what}: it reaches back {reach / duration.DAY:g} days plus {stream.lateness} of lateness, but "
            f"{stream.name} is kept for {stream.retention}; narrow the window or raise the stream's `retention`"
        )


def _check_aggregation(what: str, stream: Stream, window: Window, aggregation: Aggregation) -> None:
    if aggregation.kind == "count":
        return
    if isinstance(window.of, Label):
        if aggregation.column is not None or aggregation.kind == "distinct":
            raise ValueError(f"{what}: rows of a label hold the label alone; leave the column out, as in mean()")
        return
    if aggregation.column is None:
        raise ValueError(f'{what}: say of which column, as in {aggregation.kind}("amount")')
    column = stream.columns.get(aggregation.column)
    if column is None:
        raise ValueError(f"{what}: no column {aggregation.column}; there is: {', '.join(stream.columns)}")
    if isinstance(column, Text) and aggregation.kind != "distinct":
        raise ValueError(f'{what}: {aggregation.column} is Text; only distinct("{aggregation.column}") counts texts')
    if aggregation.kind in ("sum", "mean", "std"):
        _check_bounds(what, aggregation.column, column)


def _check_bounds(what: str, name: str, column: Column) -> None:
    """A column that declares bounds must be summable within them; without bounds the engine watches each sum."""
    bounds = [abs(bound) for bound in (column.min, column.max) if bound is not None]
    if len(bounds) < 2 or isinstance(column, Flag | Int32 | Real):
        return
    units = max(bounds) * (column.scale if isinstance(column, Decimal) else 1)
    if isinstance(column, Decimal) and units > EXACT_LIMIT:
        raise ValueError(f"{what}: {name} may have {units:.3g} units, over {EXACT_LIMIT:.3g}; lower max or decimals")
    if isinstance(column, Decimal | Int64) and units * ROWS_PER_WINDOW >= 2**63:
        raise ValueError(
            f"{what}: {ROWS_PER_WINDOW:,} rows of {name} at {units:.3g} units overflow 64 bits; lower max or decimals"
        )
