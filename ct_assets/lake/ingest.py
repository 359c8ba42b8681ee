"""Rows of a source into the lake: each offered row is stored, quarantined or a duplicate, and is so exactly once.

One batch is three commits: refused rows, then good rows, then the account. Each of them tells by `(source, offset)`
what an attempt before it left behind, so that whoever dies in between is finished by whoever tries again, with the same
outcome. Where rows come from is in `files` and `drain`, what they must satisfy in `contracts`.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from ct_assets.lake import contracts, sources
from ct_assets.lake.contracts import KEYS, StreamName
from ct_assets.lake.delivery import Delivery
from ct_assets.lake.duplicates import Sifted, matching, sift
from ct_assets.lake.errors import ContractBroken
from ct_assets.lake.lake import Lake, retried
from ct_assets.lake.snapshot import Snapshot
from ct_assets.lake.sources import Batch
from feature_defs.columns import Decimal
from feature_defs.engine.values import round_decimals
from feature_defs.task import Task

# Every commit of good rows advances this mark, so that two writers who both found a key to be new cannot both store it.
_KEYS = "keys"

UNKNOWN_EVENT = "unknown_event"
CONFLICTING = "conflicting_duplicate"


def deliver(
    lake: Lake,
    stream: StreamName,
    data: pl.DataFrame | Iterable[Batch],
    source: str,
    *,
    run_id: str,
    as_of: datetime | None = None,
) -> Delivery:
    """Takes in the rows of `source`, and says what became of them.

    Rows are named by their offset: offering them again, after a crash or by mistake, changes nothing and counts them
    as duplicates. `as_of` is when refused rows were refused; without it, the newest arrival in their batch. Labels
    find their events in the lake, so deliver events first.

    Raises:
        ContractBroken: there are no rows, or columns or types are wrong. Batches before the broken one stay.
    """
    account, seen = Delivery(), False
    for batch in sources.batches(data) if isinstance(data, pl.DataFrame) else data:
        if not batch.frame.is_empty():
            account += take(lake, stream, batch, source, run_id=run_id, as_of=as_of)
            seen = True
    if not seen:
        raise ContractBroken(source, "there are no rows; deliver again once its producer has finished")
    return account


def take(
    lake: Lake, stream: StreamName, batch: Batch, source: str, *, run_id: str, as_of: datetime | None = None
) -> Delivery:
    """One batch of a delivery, in memory; see `deliver`."""
    if stream == "predictions":
        rows = batch.frame.with_columns(batch.positions)
    else:
        rows = sources.canonical(lake.task, stream, batch, source)
    return retried(lambda: _Attempt(lake, stream, batch, source, run_id, as_of).commit(rows))


def account_id(source: str, stream: StreamName) -> str:
    """The application id under which the rows of a source are committed, in every table that they reach."""
    return f"{source}:{stream}"


@dataclass(frozen=True)
class _Attempt:
    """One try to commit a batch, on snapshots of its own."""

    lake: Lake
    stream: StreamName
    batch: Batch
    source: str
    run_id: str
    as_of: datetime | None

    def commit(self, rows: pl.DataFrame) -> Delivery:
        # The account is opened first and committed last: whoever finishes the batch in between makes that commit fail.
        account, target = self.lake.snapshot("deliveries"), self.lake.snapshot(self.stream)
        pending = rows.filter(pl.col("offset") > account.mark(self.app_id))
        again = len(rows) - len(pending)
        if pending.is_empty():
            return Delivery(offered=again, duplicates=again)
        quarantine = self.lake.snapshot("quarantine")
        before = self._refused_before(quarantine, pending)
        judged = pending.filter(~pl.col("offset").is_in(before["offset"].implode()))
        good, bad = contracts.split(contracts.rules(self.lake.task, self.stream), judged)
        good, unknown = self._placed(_rounded(self.lake.task, self.stream, good))
        sifted = sift(good, target.scan(), KEYS[self.stream], self._content, self.source)
        refused = pl.concat([bad, unknown, _because(sifted.conflicting, CONFLICTING)], how="diagonal").sort("offset")
        if not refused.is_empty():
            quarantine.append(self._quarantined(refused, rows), self._marks(quarantine), self._notes)
        if not sifted.new.is_empty():
            self._store(target, sifted)
        reasons = Counter(pl.concat([before["rules"], refused["rules"]]).explode().to_list())
        delivery = Delivery(
            offered=len(pending),
            stored=len(sifted.new) + sifted.present,
            quarantined=len(before) + len(refused),
            duplicates=sifted.repeated,
            reasons=dict(sorted(reasons.items())),
        )
        account.append(self._accounted(delivery, pending), self._marks(account), self._notes)
        return delivery + Delivery(offered=again, duplicates=again)

    @property
    def app_id(self) -> str:
        return account_id(self.source, self.stream)

    @property
    def _notes(self) -> dict[str, str]:
        return {"run_id": self.run_id}

    @property
    def _content(self) -> list[str]:
        if self.stream != "events":
            return ["label" if self.stream == "labels" else "event_id"]
        # When a row arrived is not what it says: the same payment delivered twice is the same payment.
        return ["event_time", *self.lake.task.events.columns]

    def _marks(self, snapshot: Snapshot) -> dict[str, int]:
        last = self.batch.positions[-1]
        return {self.app_id: max(last, snapshot.mark(self.app_id))}

    def _refused_before(self, quarantine: Snapshot, pending: pl.DataFrame) -> pl.DataFrame:
        """Offsets of the batch that an attempt before this one refused; they stay refused."""
        refused = quarantine.scan() if quarantine.mark(self.app_id) >= pending["offset"][0] else None
        if refused is None:
            return pl.DataFrame(schema={"offset": pl.Int64, "rules": pl.List(pl.String)})
        ours = (pl.col("stream") == self.stream) & (pl.col("source") == self.source)
        span = pl.col("offset").is_between(pending["offset"][0], pending["offset"][-1])
        return refused.filter(ours & span).select("offset", "rules").collect(engine="streaming")

    def _placed(self, rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        """`rows` with the `event_date` they touch, and labels whose event is not known to have come before them."""
        if self.stream != "labels":
            return rows.with_columns(event_date=pl.col("event_time").dt.date()), _because(rows.clear(), UNKNOWN_EVENT)
        events = matching(self.lake.snapshot("events").scan(), rows, ["event_id"])
        known = events.select("event_id", event_date="event_date", event_arrival="available_at")
        placed = rows.join(known.collect(engine="streaming"), on="event_id", how="left", maintain_order="left")
        heard = (pl.col("event_arrival") < pl.col("available_at")).fill_null(False)
        return placed.filter(heard), _because(placed.filter(~heard), UNKNOWN_EVENT)

    def _store(self, target: Snapshot, sifted: Sifted) -> None:
        rows = sifted.new.with_columns(source=pl.lit(self.source))
        marks = self._marks(target) | {_KEYS: target.mark(_KEYS) + 1}
        target.append(rows, marks, self._notes | target.touched(rows))

    def _quarantined(self, refused: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
        arrivals = rows["available_at"].filter(rows["available_at"].is_between(contracts.EARLIEST, contracts.LATEST))
        now = self.as_of if self.as_of is not None else arrivals.max()
        return refused.select(
            pl.lit(self.stream).alias("stream"),
            pl.lit(self.source).alias("source"),
            "offset",
            pl.Series("raw", self.batch.raw(refused["offset"]), pl.String),
            "rules",
            pl.lit(now, pl.Datetime("us", "UTC")).alias("refused_at"),
            pl.col("event_id").cast(pl.String),
        )

    def _accounted(self, delivery: Delivery, pending: pl.DataFrame) -> pl.DataFrame:
        return pl.DataFrame(
            {
                "source": self.source,
                "stream": self.stream,
                "from_offset": pending["offset"][0],
                "to_offset": self.batch.positions[-1],
                "offered": delivery.offered,
                "stored": delivery.stored,
                "quarantined": delivery.quarantined,
                "duplicates": delivery.duplicates,
                "run_id": self.run_id,
            }
        )


def _because(rows: pl.DataFrame, rule: str) -> pl.DataFrame:
    return rows.with_columns(rules=pl.lit([rule], pl.List(pl.String)))


def _rounded(task: Task, stream: StreamName, rows: pl.DataFrame) -> pl.DataFrame:
    """Decimals as the nearest float64 to their rounded value: once, here, for good."""
    decimals = {name: column for name, column in task.events.columns.items() if isinstance(column, Decimal)}
    if stream != "events" or not decimals:
        return rows
    return rows.with_columns(
        pl.Series(name, round_decimals(rows[name].fill_null(0.0).to_numpy(), column.decimals)).set(
            rows[name].is_null(), None
        )
        for name, column in decimals.items()
    )
