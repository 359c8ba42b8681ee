"""Which rows of a batch are new, which were there before, and which contradict those. Nothing is written here."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl


@dataclass(frozen=True)
class Sifted:
    """Rows of a batch by what the table makes of them.

    `new` is to be stored; `present` counts rows that this very offset of this source put there before, `repeated` those
    whose key and content are known; `conflicting` rows have a known key and other content.
    """

    new: pl.DataFrame
    present: int
    repeated: int
    conflicting: pl.DataFrame


def sift(rows: pl.DataFrame, stored: pl.LazyFrame, key: Sequence[str], content: Sequence[str], source: str) -> Sifted:
    """Compares `rows` (in offset order, one `source`) with the `stored` ones, and with each other: the first wins.

    Only the stored rows that share a key with the batch are ever in memory.
    """
    ours = rows.select(*key, *content, "offset").with_columns(source=pl.lit(source))
    found = matching(stored, ours, key).select(ours.columns).collect(engine="streaming")
    firsts = ours.unique(key, keep="first", maintain_order=True)
    if found.is_empty() and len(firsts) == len(rows):
        return Sifted(rows, 0, 0, rows.clear())
    reference = pl.concat([found, firsts.join(found, on=key, how="anti")])
    beside = ours.join(reference, on=key, how="left", suffix="_ref", maintain_order="left", nulls_equal=True)
    same = pl.all_horizontal(pl.col(name).eq_missing(pl.col(f"{name}_ref")) for name in content)
    own = (pl.col("offset") == pl.col("offset_ref")) & (pl.col("source") == pl.col("source_ref"))
    verdict = beside.select(own=own, same=same)
    present = (
        rows.select("offset")
        .with_columns(source=pl.lit(source))
        .join(found.select("offset", "source"), on=["offset", "source"], how="semi")
    )
    stays = verdict["own"] & ~rows["offset"].is_in(present["offset"].implode())
    return Sifted(
        new=rows.filter(stays),
        present=len(present),
        repeated=int((~verdict["own"] & verdict["same"]).sum()),
        conflicting=rows.filter(~verdict["own"] & ~verdict["same"]),
    )


def matching(stored: pl.LazyFrame, rows: pl.DataFrame, key: Sequence[str]) -> pl.LazyFrame:
    """The stored rows that share a key with `rows`; files whose range of keys lies elsewhere are not opened."""
    if rows.is_empty():
        return stored.limit(0)
    for name in key:
        stored = stored.filter(pl.col(name).is_between(pl.lit(rows[name].min()), pl.lit(rows[name].max())))
    return stored.join(rows.lazy().select(key).unique(), on=key, how="semi")
