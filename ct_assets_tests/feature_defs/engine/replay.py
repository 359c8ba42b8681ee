"""Live traffic through an online store, and the frames that its journal amounts to."""

import numpy as np
import polars as pl

from feature_defs.engine import journal, offline, skew
from feature_defs.engine.records import Event, Scored, Statement

INSTANT = pl.Datetime("us", "UTC")
DAY = 86400 * 10**6


def payment(number, time=0, customer=1, terminal=1, amount=10.0):
    return Event(number, time, {"customer_id": customer, "terminal_id": terminal, "amount": amount})


def predict(matrix):
    return [Scored(score=0.5, decision=False, version=1) for _ in matrix]


def as_event(task, row):
    return Event(row["event_id"], row["event_time"], {name: row[name] for name in task.events.columns})


def as_statement(row):
    return Statement(row["event_id"], row["label"], row["kind"], row["available_at"])


def events_of(task, records):
    schema = {name: pl.Int64 if kind == INSTANT else kind for name, kind in task.events.schema.items()}
    rows = [
        {"event_id": one.event_id, "event_time": one.event_time, "available_at": one.available_at, **one.values}
        for one in records
    ]
    return pl.DataFrame(rows, schema=schema, orient="row").cast({"event_time": INSTANT, "available_at": INSTANT})


def labels_of(task, records):
    schema = {"event_id": task.events.key_type.dtype(), "label": pl.Int8, "kind": pl.String, "available_at": pl.Int64}
    rows = [
        {"event_id": one.event_id, "label": one.label, "kind": one.kind, "available_at": one.available_at}
        for one in records
        if one.accepted
    ]
    return pl.DataFrame(rows, schema=schema, orient="row").cast({"available_at": INSTANT})


def skew_of(store, task, history=None, statements=None):
    """Served vectors of the journal against offline ones, over what the lake would hold."""
    everything = 10**9
    events = events_of(task, journal.read(store, "events", 0, everything))
    labels = labels_of(task, journal.read(store, "labels", 0, everything))
    predictions = journal.read(store, "predictions", 0, everything)
    if history is not None:
        events, labels = pl.concat([history, events]), pl.concat([statements, labels])
    requests = events_of(task, predictions)
    vectors = np.array([one.vector for one in predictions]).reshape(len(predictions), len(task.feature_names))
    served = pl.DataFrame(vectors, schema=list(task.feature_names)).insert_column(0, requests["event_id"])
    return skew.compare(served, offline.compute(task, requests, events, labels), task.feature_names)
