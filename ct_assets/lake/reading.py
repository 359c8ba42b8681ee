"""One column of a source, read into its type: what cannot be read becomes null and says so. No rows are dropped here.

Which source column belongs to which column of the lake is in `sources`, what is acceptable in `contracts`.
"""

import polars as pl

from ct_assets.lake.tables import INSTANT
from feature_defs.columns import Column, Decimal, Flag, Int32, Int64, Real, Text

# Beyond it a float64 no longer names every whole number.
_WHOLE = 2**53
_NO_VALUE = -(2**63)


def read(name: str, dtype: pl.DataType, column: Column, *, text: bool) -> pl.Expr | str:
    """Source column `name` of type `dtype` as values of `column`, or what is wrong with the type itself.

    `text` says that all values came as text (CSV, JSON lines), so each is parsed. A value that cannot be read is null.
    """
    value = pl.col(name)
    if isinstance(column, Text):
        return value.cast(pl.String) if _texts(dtype) else _wrong(name, dtype, "text")
    if text:
        value = value.str.strip_chars()
    if isinstance(column, Flag):
        if text:
            return value.str.to_lowercase().replace_strict(
                {"true": True, "1": True, "false": False, "0": False}, default=None, return_dtype=pl.Boolean
            )
        if isinstance(dtype, pl.Boolean):
            return value
        return (
            value.cast(pl.Int64).replace_strict({1: True, 0: False}, default=None, return_dtype=pl.Boolean)
            if (dtype.is_integer())
            else _wrong(name, dtype, "true or false")
        )
    if not text and not dtype.is_numeric():
        return _wrong(name, dtype, "a number")
    if isinstance(column, Int32 | Int64):
        whole = _whole(value, dtype, text=text).cast(column.dtype(), strict=False)
        # The engine's marker for a missing value cannot be one.
        return pl.when(whole.cast(pl.Int64) != _NO_VALUE).then(whole)
    if isinstance(column, Decimal | Real):
        number = value.cast(pl.Float64, strict=False)
        # NaN and infinity are no quantities, and -0.0 is another bit pattern of 0.0.
        return pl.when(number == 0).then(0.0).when(number.is_finite()).then(number)
    raise TypeError(f"column {name}: no way to read a {type(column).__name__}")


def instant(name: str, dtype: pl.DataType, zone: str, *, text: bool) -> pl.Expr | str:
    """Source column `name` as an instant in UTC; times that name no offset are local to `zone`.

    A local time that happens twice (clocks going back) is its first instant; one that never happens cannot be read.
    """
    value = pl.col(name)
    if text:
        value = value.str.strip_chars().str.replace(" ", "T", literal=True).str.replace(r"[zZ]$", "+00:00")
        offset = value.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f%:z", time_unit="us", strict=False)
        local = pl.coalesce(
            value.str.to_datetime(pattern, time_unit="us", strict=False)
            for pattern in ("%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M")
        )
        days = value.str.to_date("%Y-%m-%d", strict=False).cast(pl.Datetime("us"))
        return pl.coalesce(offset.dt.convert_time_zone("UTC"), _utc(pl.coalesce(local, days), zone))
    if isinstance(dtype, pl.Datetime):
        value = value.cast(pl.Datetime("us", dtype.time_zone))
        return _utc(value, zone) if dtype.time_zone is None else value.dt.convert_time_zone("UTC")
    if isinstance(dtype, pl.Date):
        return _utc(value.cast(pl.Datetime("us")), zone)
    return _wrong(name, dtype, "a timestamp (convert numbers to timestamps first: their unit cannot be guessed)")


def label(name: str, dtype: pl.DataType, *, text: bool) -> pl.Expr | str:
    """Source column `name` as a label in Int8; what is not a whole number cannot be read."""
    value = pl.col(name)
    if text:
        value = value.str.strip_chars().str.to_lowercase().replace({"true": "1", "false": "0"})
    elif isinstance(dtype, pl.Boolean):
        return value.cast(pl.Int8)
    elif not dtype.is_numeric():
        return _wrong(name, dtype, "0 or 1")
    return _whole(value, dtype, text=text).cast(pl.Int8, strict=False)


def _whole(value: pl.Expr, dtype: pl.DataType, *, text: bool) -> pl.Expr:
    """Int64 where the value is whole: 12, "12", 12.0 and "12.0", never 12.5 rounded."""
    if dtype.is_integer():
        return value.cast(pl.Int64, strict=False)
    number = value.cast(pl.Float64, strict=False)
    exact = (number == number.floor()) & (number.abs() <= _WHOLE)
    rounded = pl.when(exact).then(number.cast(pl.Int64, strict=False))
    return pl.coalesce(value.cast(pl.Int64, strict=False), rounded) if text else rounded


def _utc(local: pl.Expr, zone: str) -> pl.Expr:
    aware = local.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    return aware.dt.convert_time_zone("UTC").cast(INSTANT)


def _texts(dtype: pl.DataType) -> bool:
    return isinstance(dtype, pl.String | pl.Categorical | pl.Enum)


def _wrong(name: str, dtype: pl.DataType, wanted: str) -> str:
    return f"column {name} is {dtype}, the contract wants {wanted}"
