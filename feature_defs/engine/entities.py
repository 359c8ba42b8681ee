"""Number the entities of rows and requests densely, so that a counting sort can bring them together."""

import numpy as np
import numpy.typing as npt
import polars as pl

Ids = npt.NDArray[np.int32]


def dense(rows: pl.Series, requests: pl.Series) -> tuple[Ids, Ids, int]:
    """Ids of the entities of `rows` and of `requests`, from 0, and how many there are.

    A request without an entity, or whose entity has no rows, may get -1. Rows have no null keys.
    """
    if rows.dtype.is_integer() and len(rows):
        low, high = int(rows.min()), int(rows.max())  # type: ignore[arg-type]
        if high - low <= 4 * len(rows) + 1024:
            ids = (rows.to_numpy() - low).astype(np.int32, copy=False)
            return ids, ids if requests is rows else _compact(requests, low, high), high - low + 1
    known = rows.unique(maintain_order=True)
    lookup = pl.DataFrame({"key": known, "id": np.arange(len(known))})
    ids = _looked_up(rows, lookup)
    return ids, ids if requests is rows else _looked_up(requests, lookup), len(known)


def _compact(keys: pl.Series, low: int, high: int) -> Ids:
    given = keys.cast(pl.Int64).fill_null(low - 1).to_numpy()
    return np.where((given >= low) & (given <= high), given - low, -1).astype(np.int32)


def _looked_up(keys: pl.Series, lookup: pl.DataFrame) -> Ids:
    found = keys.alias("key").to_frame().join(lookup, on="key", how="left", maintain_order="left")
    return found["id"].fill_null(-1).to_numpy().astype(np.int32)
