"""The journal: every event, label statement and prediction in order, until a drain has brought it into the lake.

It lives in the online store's environment, so that an entry and its effect on features commit together.
Instants are microseconds since the epoch.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, Protocol

import msgspec

from feature_defs.engine.environment import Environment
from feature_defs.engine.records import EventId

Kind = Literal["events", "labels", "predictions"]


class EventRecord(msgspec.Struct, frozen=True):
    """An event that was accepted, with its instant of arrival."""

    sequence: int
    event_id: EventId
    event_time: int
    available_at: int
    values: dict[str, Any]


class LabelRecord(msgspec.Struct, frozen=True):
    """A label statement. `accepted` is False when its event was unknown; it then had no effect."""

    sequence: int
    event_id: EventId
    label: int
    kind: str
    known_at: int
    available_at: int
    accepted: bool


class PredictionRecord(msgspec.Struct, frozen=True):
    """A prediction that was made, with the vector it was made from (NaN where null)."""

    sequence: int
    prediction_id: str
    event_id: EventId
    event_time: int
    available_at: int
    values: dict[str, Any]
    vector: list[float]
    score: float
    decision: bool
    version: int
    role: str
    exposed: bool
    feature_hash: str


Record = EventRecord | LabelRecord | PredictionRecord

KINDS: dict[str, type[Record]] = {"events": EventRecord, "labels": LabelRecord, "predictions": PredictionRecord}
_DECODERS = {kind: msgspec.msgpack.Decoder(record) for kind, record in KINDS.items()}
_ENCODER = msgspec.msgpack.Encoder()


class HasEnvironment(Protocol):
    """An open online store."""

    @property
    def environment(self) -> Environment:
        """Where it keeps everything."""


def database(kind: str) -> str:
    """Name of the database of `kind`."""
    if kind not in KINDS:
        raise ValueError(f"there is no journal of {kind!r}; it is one of {', '.join(KINDS)}")
    return f"journal.{kind}"


def append(transaction: Any, databases: dict[str, Any], record: Record) -> None:
    """Write `record` under its sequence number, within a transaction of the store."""
    kind = {EventRecord: "events", LabelRecord: "labels", PredictionRecord: "predictions"}[type(record)]
    transaction.put(_key(record.sequence), _ENCODER.encode(record), db=databases[kind], append=True)


def read(store: HasEnvironment | Path, kind: Kind, after: int = 0, limit: int = 10_000) -> list[Record]:
    """Up to `limit` records with a sequence number above `after`, in order. `store` is an open store or its path."""
    with _environment(store) as environment:
        return environment.read(lambda txn: scan(txn, environment.database(database(kind)), kind, after, limit))


def scan(transaction: Any, handle: Any, kind: str, after: int, limit: int | None) -> list[Record]:
    """`read` within a transaction; without `limit` all there is."""
    records: list[Record] = []
    with transaction.cursor(db=handle) as cursor:
        more = cursor.set_range(_key(after + 1))
        while more and (limit is None or len(records) < limit):
            records.append(_DECODERS[kind].decode(cursor.value()))
            more = cursor.next()
    return records


def trim(store: HasEnvironment | Path, kind: Kind, upto: int) -> int:
    """Forget the records up to and including sequence number `upto`; returns how many there were."""

    def forget(transaction: Any) -> int:
        forgotten = 0
        with transaction.cursor(db=handle) as cursor:
            while cursor.first() and int.from_bytes(cursor.key(), "big") <= upto:
                cursor.delete()
                forgotten += 1
        return forgotten

    with _environment(store) as environment:
        handle = environment.database(database(kind))
        return environment.write(forget)


def last(store: HasEnvironment | Path, kind: Kind) -> int:
    """Sequence number of the newest record still there, 0 when there is none."""

    def newest(transaction: Any) -> int:
        with transaction.cursor(db=handle) as cursor:
            return int.from_bytes(cursor.key(), "big") if cursor.last() else 0

    with _environment(store) as environment:
        handle = environment.database(database(kind))
        return environment.read(newest)


def backlog(store: HasEnvironment | Path, kind: Kind) -> int:
    """How many records wait to be drained."""
    with _environment(store) as environment:
        handle = environment.database(database(kind))
        return environment.read(lambda transaction: int(transaction.stat(db=handle)["entries"]))


@contextmanager
def _environment(store: HasEnvironment | Path) -> Iterator[Environment]:
    if not isinstance(store, Path):
        yield store.environment
        return
    environment = Environment.acquire(store)
    try:
        yield environment
    finally:
        environment.release()


def _key(sequence: int) -> bytes:
    return sequence.to_bytes(8, "big")
