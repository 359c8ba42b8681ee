"""The manifest of a training set: which rows, known when, from which tables. Reading them is in `selection`."""

import hashlib
from datetime import datetime

import msgspec
import numpy as np
import polars as pl


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """A training set and its holdout, named exactly. Windows are event time, left closed, right open.

    `label_cutoff`: truth that had arrived by then counts. `data_from`: time of the first row; later than the window's
    start when `complete` is false, because history begins later. `alteration` says what was done to the labels on
    purpose, None for a training set as it happened.

    `digest` names the content: windows, cut-off, feature set and the rows' own values. Table versions are where the
    rows can be read again, not part of their identity.
    """

    task: str
    as_of: datetime
    window_from: datetime
    window_to: datetime
    data_from: datetime
    complete: bool
    holdout_from: datetime
    holdout_to: datetime
    label_cutoff: datetime
    table_versions: dict[str, int]
    feature_hash: str
    rows: int
    positives: int
    holdout_rows: int
    holdout_positives: int
    digest: str
    alteration: str | None = None


def digest(frame: pl.DataFrame, *about: object) -> str:
    """Names `frame` by its values, row by row in order, and by what it is `about` (JSON values).

    Nulls in numeric columns count as NaN. Independent of chunks, of how the frame was read and of the tables it lay in.
    """
    content = hashlib.sha256(msgspec.json.encode(about))
    for column in frame:
        content.update(f"{column.name}:{column.dtype}:{len(column)};".encode())
        if column.dtype == pl.String:
            content.update(msgspec.json.encode(column.to_list()))
        elif column.dtype.is_float() or column.null_count():
            content.update(column.cast(pl.Float64).fill_null(np.nan).to_numpy().tobytes())
        else:
            content.update(column.to_physical().to_numpy().tobytes())
    return content.hexdigest()[:32]
