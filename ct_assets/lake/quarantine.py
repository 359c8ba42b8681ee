"""Reading the quarantine: refused rows, where they came from, and why, in words. Rows get in through `ingest`."""

from datetime import datetime

import polars as pl

from ct_assets.lake import contracts
from ct_assets.lake.contracts import StreamName
from ct_assets.lake.ingest import CONFLICTING, UNKNOWN_EVENT
from ct_assets.lake.lake import Lake

_OF_THE_LAKE = {
    UNKNOWN_EVENT: "the event is in the lake, and arrived before anything is said about it",
    CONFLICTING: "a key that came before comes again with the same content",
}


def rows(lake: Lake, stream: StreamName | None = None, *, source: str | None = None) -> pl.LazyFrame:
    """Refused rows in the order they came, lazily, with all columns of the table `quarantine`."""
    refused = lake.read("quarantine")
    if stream is not None:
        refused = refused.filter(pl.col("stream") == stream)
    if source is not None:
        refused = refused.filter(pl.col("source") == source)
    return refused.sort("stream", "source", "offset")


def by_rule(lake: Lake, *, as_of: datetime | None = None) -> pl.DataFrame:
    """How many rows each rule refused: `stream`, `rule`, `says`, `rows`, `newest` (refused_at), most frequent first."""
    refused = lake.read("quarantine", as_of=as_of).select("stream", "refused_at", rule="rules").explode("rule")
    counts = refused.group_by("stream", "rule").agg(rows=pl.len(), newest=pl.col("refused_at").max()).collect()
    says = [meaning(lake, stream, rule) for stream, rule in counts.select("stream", "rule").iter_rows()]
    return (
        counts.with_columns(pl.Series("says", says, pl.String))
        .select("stream", "rule", "says", "rows", "newest")
        .sort("rows", "stream", "rule", descending=[True, False, False])
    )


def meaning(lake: Lake, stream: StreamName, rule: str) -> str:
    """What the contract says where a row broke `rule`; the id itself for a rule of an earlier contract."""
    known = {one.id: one.says for one in contracts.rules(lake.task, stream)} | _OF_THE_LAKE
    return known.get(rule, rule)


def explained(lake: Lake, *, limit: int = 20) -> list[str]:
    """The first refused rows as sentences, counting the rows of a source from 1.

    `file:events.csv:1c2d row 1,204: broken: amount is not null; event_id 7; row kept in quarantine`
    """
    found = []
    for row in rows(lake).limit(limit).collect().iter_rows(named=True):
        broken = "; ".join(meaning(lake, row["stream"], rule) for rule in row["rules"])
        named = f"; event_id {row['event_id']}" if row["event_id"] is not None else ""
        found.append(f"{row['source']} row {row['offset'] + 1:,}: broken: {broken}{named}; row kept in quarantine")
    return found
