"""Values as the engine adds them up: whole units in int64, rounded once, with one marker for "no value".

What a bad value means for its row (quarantine) is decided where data comes in, not here.
"""

import numpy as np
import numpy.typing as npt
import polars as pl

from feature_defs.columns import EXACT_LIMIT, Column, Decimal, Real

# The one int64 that is no value. Its magnitude has no positive twin, so nothing legitimate is lost.
NULL = np.int64(-(2**63))

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


def round_decimals(values: npt.ArrayLike, decimals: int) -> Floats:
    """Nearest float64 to each value rounded half-even to `decimals`; the one rounding that exact sums rest on.

    Beyond `Decimal.limit` a value comes back unrounded: contracts refuse it, and `to_units` raises.

    >>> round_decimals([0.125, 2.675], 2).tolist()
    [0.12, 2.68]
    """
    given = np.asarray(values, dtype=np.float64)
    scale = float(10**decimals)
    with np.errstate(over="ignore"):
        rounded = np.rint(given * scale) / scale
    # Adding zero turns -0.0 into 0.0, so that one number has one bit pattern.
    return np.where(np.abs(given) * scale <= EXACT_LIMIT, rounded, given) + 0.0


def to_units(values: npt.ArrayLike, decimals: int) -> Integers:
    """Whole units of rounded values, exactly: `12.34` with two decimals is `1234`; NaN is `NULL`.

    Raises:
        OverflowError: a value has more units than float64 keeps apart.
    """
    given = np.asarray(values, dtype=np.float64)
    units = given * float(10**decimals)
    np.rint(units, out=units)
    missing = np.isnan(units)
    known = units[~missing] if missing.any() else units
    if known.size and max(-known.min(), known.max()) > EXACT_LIMIT:
        worst = given[np.nanargmax(np.abs(units))]
        raise OverflowError(
            f"value {worst!r} has more than {EXACT_LIMIT} units at {decimals} decimals and cannot be summed exactly; "
            "declare fewer decimals or a `max` that refuses it"
        )
    if known is units:
        return units.astype(np.int64)
    return np.where(missing, NULL, np.where(missing, 0.0, units).astype(np.int64))


def words(values: pl.Series, column: Column) -> Integers:
    """A column as int64 words: units of decimals, whole numbers as they are, bits of reals; null is `NULL`.

    Text has no words of its own: its users number the distinct values first.

    Raises:
        OverflowError: a value cannot be kept exactly.
    """
    if isinstance(column, Decimal):
        return to_units(values.cast(pl.Float64).fill_null(np.nan).to_numpy(), column.decimals)
    if isinstance(column, Real):
        real = values.cast(pl.Float64).fill_null(np.nan).to_numpy() + 0.0
        return np.where(np.isnan(real), NULL, real.view(np.int64))
    whole = values.cast(pl.Int64)
    if (whole == NULL).any():
        raise OverflowError(f"column {values.name}: {NULL} stands for a missing value and cannot be one")
    return whole.fill_null(int(NULL)).to_numpy()
