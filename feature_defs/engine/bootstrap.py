"""Rebuild the state of all entities from frames, in one transaction of the store."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from feature_defs.engine import journal, requests, rows, statements
from feature_defs.engine.arrangement import arrange
from feature_defs.engine.entities import dense
from feature_defs.engine.histories import Histories
from feature_defs.engine.numbering import keys, token
from feature_defs.engine.plan import History, Plan
from feature_defs.engine.records import Event
from feature_defs.engine.rows import Rows
from feature_defs.engine.values import NULL, Integers
from feature_defs.stream import INSTANT


def rebuild(
    plan: Plan,
    histories: Histories,
    transaction: Any,
    events: pl.DataFrame,
    labels: pl.DataFrame,
    journalled_events: Sequence[Any],
    journalled_labels: Sequence[Any],
) -> int:
    """Replace all states and known events; returns the newest arrival in microseconds."""
    events = _with_journal(plan, events, journalled_events)
    labels = _with_statements(plan, labels, journalled_labels)
    events = rows.in_time_order(rows.unique_events(events), ties=True)
    for database in (histories.states, histories.known):
        transaction.drop(database, delete=False)
    number = _Numbers(histories, transaction)
    entities = []
    for history in plan.histories:
        if history.of_label:
            entities.append(_entities(history, plan, events, number))
            _store(histories, transaction, history, rows.of_labels(history, plan, events, labels), number)
        else:
            _store(histories, transaction, history, rows.of_events(history, plan, events, number.values), number)
    _store_known(histories, transaction, events, entities, number)
    newest = [frame["available_at"].max() for frame in (events, labels) if len(frame)]
    return max((rows.instants(pl.Series([instant])).item() for instant in newest), default=0)


class _Numbers:
    """Texts numbered by the store; whole numbers as they are."""

    def __init__(self, histories: Histories, transaction: Any) -> None:
        self._histories = histories
        self._transaction = transaction

    def values(self, values: pl.Series) -> Integers:
        """Words of entity keys or of values of a text column."""
        if values.dtype == pl.String:
            return self._histories.texts.numbers(self._transaction, values.to_list())
        return values.cast(pl.Int64).to_numpy()

    def ids(self, ids: pl.Series) -> Integers:
        """Words of event ids."""
        if ids.dtype == pl.String:
            return self._histories.events.numbers(self._transaction, ids.to_list())
        return ids.cast(pl.Int64).to_numpy()


def _store(histories: Histories, transaction: Any, history: History, known: Rows, number: _Numbers) -> None:
    from feature_defs.engine.compiled.state import gather

    if not len(known.times):
        return
    values = known.values.copy()
    changed, _, said = known.changes
    for row, value in zip(changed.tolist(), said.tolist(), strict=True):
        values[0, row] = value
    row_ids, _, count = dense(known.keys, known.keys.slice(0, 0))
    extra = np.vstack([number.values(known.keys), number.ids(known.ids), values])
    starts, _, times, _, columns, _ = arrange(row_ids, count, known.times, np.empty(0, np.int64), extra)
    words, ids, values = columns[0], columns[1], columns[2:]
    reach = histories.reaches[history.index]
    for begin, end in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
        if begin < end:
            state = gather(times, ids, values, begin, end, reach, history.reals)
            transaction.put(histories.state_key(history, int(words[begin])), state.tobytes(), db=histories.states)


def _entities(history: History, plan: Plan, events: pl.DataFrame, number: _Numbers) -> Integers:
    """Per event the entity whose label history it may enter, or `NULL`."""
    counted = rows.counted(history, plan, events)
    found = np.full(len(events), NULL)
    found[counted] = number.values(events[history.key].filter(pl.Series(counted)))
    return found


def _store_known(
    histories: Histories, transaction: Any, events: pl.DataFrame, entities: list[Integers], number: _Numbers
) -> None:
    ids = number.ids(events["event_id"])
    times, arrivals = rows.instants(events["event_time"]), rows.instants(events["available_at"])
    entries = np.column_stack([times, arrivals, ids, *entities])
    if events["event_id"].dtype == pl.String:
        names = [token(name) for name in events["event_id"].to_list()]
        order = np.array(sorted(range(len(names)), key=names.__getitem__), dtype=np.int64)
        names = [names[place] for place in order.tolist()]
    else:
        order = np.argsort(ids, kind="stable")
        names = keys(ids[order])
    packed = memoryview(np.ascontiguousarray(entries[order]).tobytes())
    width = 8 * entries.shape[1]
    with transaction.cursor(db=histories.known) as cursor:
        cursor.putmulti(
            ((name, packed[at : at + width]) for name, at in zip(names, range(0, len(packed), width), strict=True)),
            append=True,
        )


def _with_journal(plan: Plan, events: pl.DataFrame, journalled: Sequence[journal.EventRecord]) -> pl.DataFrame:
    """Events of the lake and those still in the journal."""
    stream = plan.task.events
    events = events.select(*stream.schema)
    if not journalled:
        return events
    more = requests.frame(stream, [Event(one.event_id, one.event_time, one.values) for one in journalled])
    arrivals = pl.Series("available_at", [one.available_at for one in journalled], dtype=pl.Int64)
    more = more.with_columns(arrivals.cast(INSTANT)).select(*stream.schema)
    return pl.concat([events, more.join(events, on="event_id", how="anti")])


def _with_statements(plan: Plan, labels: pl.DataFrame, journalled: Sequence[journal.LabelRecord]) -> pl.DataFrame:
    schema = statements.schema(plan.task)
    accepted = [one for one in journalled if one.accepted]
    more = pl.DataFrame(
        {
            "event_id": [one.event_id for one in accepted],
            "label": [one.label for one in accepted],
            "kind": [one.kind for one in accepted],
            "available_at": pl.Series([one.available_at for one in accepted], dtype=pl.Int64),
        },
    ).cast(schema)  # type: ignore[arg-type]
    return pl.concat([labels.select(*schema), more])
