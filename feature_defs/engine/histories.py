"""The histories of all entities in the store: read their cells, let events and labels take effect.

Everything happens within a transaction of the caller. Sequence, answers and journal are the store's.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from feature_defs.columns import Text
from feature_defs.engine import requests
from feature_defs.engine.environment import Environment
from feature_defs.engine.numbering import Numbering, key, token
from feature_defs.engine.plan import History, Plan
from feature_defs.engine.records import Event, EventId, Statement
from feature_defs.engine.values import NULL, Floats, Integers

NOTHING = np.frombuffer(b"", dtype=np.int64)

# Named by the stores that hold it: state in another layout is built anew, never misread.
LAYOUT = 2

# Words before the rows of a state (`compiled.state.HEAD`, which costs Numba to import).
HEAD = 4

# A value of at least a page lies by itself, where its words are aligned and can be read in place.
IN_PLACE = 4096


class Histories:
    """Per (history, entity) one value of words, and per event what a later label needs to find its rows."""

    def __init__(self, plan: Plan, environment: Environment) -> None:
        from feature_defs.engine.compiled import state

        self.plan = plan
        self.stream = plan.task.events
        self._read, self._insert = state.read, state.insert
        self.name = f"{plan.task.feature_hash}.{LAYOUT}"
        self.states = environment.database(f"state.{self.name}")
        self.known = environment.database(f"known.{self.name}")
        self.events = Numbering(environment.database("number.event"), environment.database("text.event"))
        self.texts = Numbering(environment.database("number.value"), environment.database("text.value"))
        self._text_ids = isinstance(self.stream.key_type, Text)
        self.reaches = [history.reach + self.stream.lateness_us for history in plan.histories]

    def event_key(self, event_id: EventId) -> bytes:
        """The key of an event."""
        return token(event_id) if isinstance(event_id, str) else key(event_id)

    def state_key(self, history: History, entity: int) -> bytes:
        """The key of an entity's state."""
        return history.index.to_bytes(1, "big") + key(entity)

    def counted(self, events: Sequence[Event]) -> list[list[bool]]:
        """Per event and history, whether the event passes the history's filter."""
        passed = [[True] * len(self.plan.histories) for _ in events]
        filtered = [history for history in self.plan.histories if history.where is not None]
        if filtered:
            named = requests.frame(self.stream, events).rename(
                {"event_id": self.stream.key, "event_time": self.stream.time}
            )
            for history in filtered:
                if history.where is not None:
                    answer = named.select(history.where.alias("passed"))["passed"].fill_null(value=False)
                    for number, value in enumerate(answer):
                        passed[number][history.index] = value
        return passed

    def read(self, transaction: Any, event: Event, out: Floats) -> None:
        """Fill the window features of `event`, as of its event time.

        Raises:
            ValueError: rows that would count have left the store.
        """
        for history in self.plan.histories:
            words = NOTHING
            entity = self._entity(transaction, history, event)
            if entity is not None:
                stored = transaction.get(self.state_key(history, entity), db=self.states)
                if stored is not None:
                    words = _words(stored)
            if not self._read(words, event.event_time_us, history.table, out):
                raise ValueError(
                    f"event {event.event_id!r} is more than {self.stream.lateness} behind the newest event of its "
                    f"{history.key}; rows it would count have left the store. Score it offline, or raise `lateness`"
                )

    def apply(self, transaction: Any, event: Event, arrival: int, counted: Sequence[bool]) -> bool:
        """Let an event take effect; False, and nothing happens, when it is known."""
        name = self.event_key(event.event_id)
        if transaction.get(name, db=self.known) is not None:
            return False
        row_id = self.events.number(transaction, event.event_id) if isinstance(event.event_id, str) else event.event_id
        entry = [event.event_time_us, arrival, row_id]
        for history in self.plan.histories:
            entity = None
            if counted[history.index]:
                entity = self._entity(transaction, history, event, create=True)
            if history.of_label:
                entry.append(int(NULL) if entity is None else entity)
            elif entity is not None:
                values = np.array([self._word(transaction, name, event) for name in history.columns], dtype=np.int64)
                self._put(transaction, history, entity, event.event_time_us, row_id, values)
        transaction.put(name, np.array(entry, dtype=np.int64).tobytes(), db=self.known)
        return True

    def state_label(self, transaction: Any, said: Statement) -> bool:
        """Let a statement take effect if it is a truth; False when its event is unknown."""
        if isinstance(said.event_id, str) is not self._text_ids:
            return False
        stored = transaction.get(self.event_key(said.event_id), db=self.known)
        if stored is None:
            return False
        if said.kind == "truth":
            time, _, row_id, *entities = np.frombuffer(stored, dtype=np.int64).tolist()
            labelled = (history for history in self.plan.histories if history.of_label)
            for history, entity in zip(labelled, entities, strict=True):
                if entity != NULL:
                    values = np.array([said.label], dtype=np.int64)
                    self._put(transaction, history, entity, time, row_id, values)
        return True

    def _put(self, transaction: Any, history: History, entity: int, time: int, row_id: int, values: Integers) -> None:
        where = self.state_key(history, entity)
        stored = transaction.get(where, db=self.states)
        words = NOTHING if stored is None else _words(stored)
        place = self._place(transaction, words, time, row_id) if history.ordered and self._text_ids else -1
        changed = self._insert(words, time, row_id, values, place, self.reaches[history.index], history.reals)
        transaction.put(where, changed.tobytes(), db=self.states)

    def _place(self, transaction: Any, words: Integers, time: int, row_id: int) -> int:
        """Where a row goes by the text of its id: numbers are given in order of arrival, which must not matter."""
        rows = int(words[0]) if len(words) else 0
        times, ids = words[HEAD : HEAD + rows], words[HEAD + rows : HEAD + 2 * rows]
        mine = self.events.text(transaction, row_id)
        place, end = int(np.searchsorted(times, time)), int(np.searchsorted(times, time, side="right"))
        while place < end and self.events.text(transaction, int(ids[place])) < mine:
            place += 1
        return place

    def _entity(self, transaction: Any, history: History, event: Event, *, create: bool = False) -> int | None:
        given = event.values[history.key]
        if not isinstance(given, str):
            return None if given is None else int(given)
        return self.texts.number(transaction, given) if create else self.texts.find(transaction, given)

    def _word(self, transaction: Any, name: str, event: Event) -> int:
        given = event.values[name]
        if isinstance(given, str):
            return self.texts.number(transaction, given)
        return requests.word(self.stream.columns[name], given)


def _words(stored: memoryview) -> Integers:
    return np.frombuffer(stored if len(stored) >= IN_PLACE else bytes(stored), dtype=np.int64)
