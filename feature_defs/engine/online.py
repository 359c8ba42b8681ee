"""The online store: what every entity looks like now, what was answered, and the journal, in one environment.

An event's effect on features, its journal entry and its answer commit together or not at all. Vectors equal those of
`offline.compute` as 64-bit words: both read the same cells with the same kernels.
"""

import uuid
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec
import numpy as np
import polars as pl

from feature_defs.engine import journal, requests
from feature_defs.engine.bootstrap import rebuild
from feature_defs.engine.environment import MAP_SIZE, Durability, Environment
from feature_defs.engine.histories import Histories
from feature_defs.engine.plan import plan
from feature_defs.engine.records import Answer, Event, LabelReceipt, Scored, Statement
from feature_defs.engine.rowwise import RowFeatures
from feature_defs.engine.store import Predict
from feature_defs.engine.values import Floats
from feature_defs.task import Task

_ANSWER = msgspec.msgpack.Decoder(Answer)
_RECEIPT = msgspec.msgpack.Decoder(LabelReceipt)
_ENCODE = msgspec.msgpack.Encoder().encode


class OnlineStore:
    """Features of `task` as of now. Several processes may have the same store open.

    >>> with OnlineStore.open(path, task) as store:  # doctest: +SKIP
    ...     answers = store.observe([event], predict)
    """

    def __init__(self, environment: Environment, task: Task) -> None:
        self.environment = environment
        self.task = task
        self.plan = plan(task)
        self._row_features = RowFeatures(self.plan)
        self._meta = environment.database("meta")
        self._answers = environment.database("answers")
        self._receipts = environment.database("receipts")
        self._journal = {kind: environment.database(journal.database(kind)) for kind in journal.KINDS}
        self._histories = Histories(self.plan, environment)
        environment.write(self._found)
        self.store_id = environment.read(lambda txn: bytes(txn.get(b"store_id", db=self._meta)).decode())

    @classmethod
    def open(
        cls, path: Path, task: Task, *, map_size: int = MAP_SIZE, durability: Durability = "process"
    ) -> "OnlineStore":
        """The store at `path`, made if there is none. It grows past `map_size` by itself."""
        return cls(Environment.acquire(path, map_size=map_size, durability=durability), task)

    def close(self) -> None:
        """Give the environment back. The store is not usable afterwards."""
        self.environment.release()

    def __enter__(self) -> "OnlineStore":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _found(self, transaction: Any) -> None:
        """A new environment gets its name, and belongs to this feature set until another one is bootstrapped."""
        if transaction.get(b"store_id", db=self._meta) is None:
            transaction.put(b"store_id", uuid.uuid4().hex.encode(), db=self._meta)
            transaction.put(b"state", self._histories.name.encode(), db=self._meta)

    @property
    def watermark(self) -> int:
        """The last instant of arrival given, in microseconds; 0 before the first."""
        return self.environment.read(lambda txn: self._counter(txn, b"arrival"))

    @property
    def sequence(self) -> int:
        """The last sequence number given; 0 before the first."""
        return self.environment.read(lambda txn: self._counter(txn, b"sequence"))

    def bootstrap(self, events: pl.DataFrame, labels: pl.DataFrame) -> None:
        """Replace the state of all entities by that of the lake's frames, and of what the journal still holds.

        Pass what has arrived, and only that: the newest arrival becomes the watermark. Doing it twice changes nothing.
        """

        def replace(transaction: Any) -> None:
            undrained = [journal.scan(transaction, self._journal[kind], kind, 0, None) for kind in ("events", "labels")]
            newest = rebuild(self.plan, self._histories, transaction, events, labels, *undrained)
            self._count(transaction, b"arrival", max(newest, self._counter(transaction, b"arrival")))
            transaction.put(b"state", self._histories.name.encode(), db=self._meta)

        self.environment.write(replace)

    def observe(self, events: Sequence[Event], predict: Predict, *, now_us: int | None = None) -> list[Answer]:
        """Answer requests in order and let each take effect before the next is looked at, in one transaction.

        Args:
            events: The requests. A repeated `event_id` gets its first answer again and changes nothing.
            predict: From the (new requests, features) matrix, NaN where null, to one `Scored` each. If it raises,
                nothing has happened.
            now_us: The wall clock, for a task that runs by it.

        Raises:
            ValueError: a request does not fit the stream, or is too late to be answered exactly.
            OverflowError: a value or a window's sum does not fit.
        """
        given = [requests.normalized(self.task.events, event) for event in events]
        return self.environment.write(lambda transaction: self._observe(transaction, given, predict, now_us))

    def _observe(self, transaction: Any, events: list[Event], predict: Predict, now_us: int | None) -> list[Answer]:
        self._check_definition(transaction)
        answers: dict[int | str, Answer] = {}
        new: dict[int | str, Event] = {}
        for event in events:
            if (stored := transaction.get(self._histories.event_key(event.event_id), db=self._answers)) is not None:
                answers[event.event_id] = msgspec.structs.replace(_ANSWER.decode(stored), repeated=True)
            else:
                new.setdefault(event.event_id, event)
        fresh = list(new.values())
        if fresh:
            sequence = self._counter(transaction, b"sequence")
            arrival = self._counter(transaction, b"arrival")
            counted = self._histories.counted(fresh)
            vectors = np.empty((len(fresh), len(self.plan.names)))
            arrivals = []
            for number, event in enumerate(fresh):
                arrival = max(arrival + 1, self._stated(event.event_time_us, now_us))
                arrivals.append(arrival)
                self._histories.read(transaction, event, vectors[number])
                if self._histories.apply(transaction, event, arrival, counted[number]):
                    record = journal.EventRecord(
                        sequence + number + 1, event.event_id, event.event_time_us, arrival, event.values
                    )
                    journal.append(transaction, self._journal, record)
            self._row_features.fill(fresh, vectors)
            scored = predict(vectors)
            if len(scored) != len(fresh):
                raise ValueError(f"predict returned {len(scored)} scores for {len(fresh)} vectors")
            for event, arrived, vector, made in zip(fresh, arrivals, vectors, scored, strict=True):
                sequence += 1
                answers[event.event_id] = self._answer(transaction, event, sequence, arrived, vector.tolist(), made)
            self._count(transaction, b"sequence", sequence)
            self._count(transaction, b"arrival", arrival)
        seen: set[int | str] = set()
        result = []
        for event in events:
            answer = answers[event.event_id]
            result.append(msgspec.structs.replace(answer, repeated=True) if event.event_id in seen else answer)
            seen.add(event.event_id)
        return result

    def _answer(
        self, transaction: Any, event: Event, sequence: int, arrived: int, vector: list[float], made: Scored
    ) -> Answer:
        name = f"{self.store_id[:8]}-{sequence}"
        answer = Answer(
            event.event_id,
            name,
            sequence,
            arrived,
            vector,
            made.score,
            made.decision,
            made.version,
            made.role,
            self.task.feature_hash,
        )
        transaction.put(self._histories.event_key(event.event_id), _ENCODE(answer), db=self._answers)
        record = journal.PredictionRecord(
            sequence,
            name,
            event.event_id,
            event.event_time_us,
            arrived,
            event.values,
            vector,
            made.score,
            made.decision,
            made.version,
            made.role,
            made.exposed,
            self.task.feature_hash,
        )
        journal.append(transaction, self._journal, record)
        return answer

    def label(self, statements: Sequence[Statement], *, now_us: int | None = None) -> list[LabelReceipt]:
        """Journal label statements and let the truths take effect, in one transaction.

        A statement about an unknown event is journalled as not accepted and has no effect; one whose `statement_id`
        was seen before gets its first receipt again.
        """
        for statement in statements:
            if statement.label not in (0, 1) or statement.kind not in ("truth", "proxy"):
                raise ValueError(
                    f"statement about event {statement.event_id!r}: label must be 0 or 1, kind truth or proxy"
                )
        return self.environment.write(lambda transaction: self._label(transaction, statements, now_us))

    def _label(self, transaction: Any, statements: Sequence[Statement], now_us: int | None) -> list[LabelReceipt]:
        self._check_definition(transaction)
        sequence, arrival = self._counter(transaction, b"sequence"), self._counter(transaction, b"arrival")
        receipts = []
        for said in statements:
            name = said.statement_id.encode() if said.statement_id is not None else None
            if name is not None and (stored := transaction.get(name, db=self._receipts)) is not None:
                receipts.append(msgspec.structs.replace(_RECEIPT.decode(stored), repeated=True))
                continue
            sequence += 1
            arrival = max(arrival + 1, self._stated(said.known_at_us, now_us))
            known = self._histories.state_label(transaction, said)
            receipt = LabelReceipt(said.event_id, sequence, arrival, known)
            receipts.append(receipt)
            journal.append(
                transaction,
                self._journal,
                journal.LabelRecord(sequence, said.event_id, said.label, said.kind, said.known_at_us, arrival, known),
            )
            if name is not None:
                transaction.put(name, _ENCODE(receipt), db=self._receipts)
        self._count(transaction, b"sequence", sequence)
        self._count(transaction, b"arrival", arrival)
        return receipts

    def vector(self, event: Event) -> Floats:
        """The vector the model would see for `event` now; nothing changes."""
        event = requests.normalized(self.task.events, event)
        vectors: Floats = np.empty((1, len(self.plan.names)))

        def look(transaction: Any) -> None:
            self._check_definition(transaction)
            self._histories.read(transaction, event, vectors[0])

        self.environment.read(look)
        self._row_features.fill([event], vectors)
        only: Floats = vectors[0]
        return only

    def _stated(self, instant: int, now_us: int | None) -> int:
        if self.task.clock == "watermark":
            return instant
        if now_us is None:
            raise ValueError(f"task {self.task.name} runs by the wall clock; pass now_us")
        return now_us

    def _check_definition(self, transaction: Any) -> None:
        kept = bytes(transaction.get(b"state", default=b"", db=self._meta)).decode()
        if kept != self._histories.name:
            raise ValueError(
                f"the online store at {self.environment.path} holds the state of feature set {kept or 'unknown'}, the "
                f"task needs {self._histories.name}; bootstrap it from the lake first"
            )

    def _counter(self, transaction: Any, name: bytes) -> int:
        return int.from_bytes(transaction.get(name, default=b"", db=self._meta), "big", signed=True)

    def _count(self, transaction: Any, name: bytes, value: int) -> None:
        transaction.put(name, value.to_bytes(8, "big", signed=True), db=self._meta)
