"""The journal of the online store into the lake, exactly once. What the journal is lives in `feature_defs.engine`.

A record's sequence number is its offset. The journal forgets a record only after the account of its batch is committed;
dying in between leaves records that the next drain recognises by that account.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import msgspec
import numpy as np
import polars as pl

from ct_assets.lake.contracts import StreamName
from ct_assets.lake.delivery import Delivery
from ct_assets.lake.ingest import account_id, take
from ct_assets.lake.lake import Lake
from ct_assets.lake.sources import Batch
from ct_assets.lake.tables import INSTANT
from feature_defs.engine import journal
from feature_defs.engine.journal import EventRecord, LabelRecord, PredictionRecord
from feature_defs.engine.online import OnlineStore
from feature_defs.task import Task

BATCH_RECORDS = 20_000


def drain(lake: Lake, store_path: Path, kind: StreamName, *, run_id: str) -> Delivery:
    """Moves what the journal at `store_path` holds of `kind` into the table of that name, then trims the journal.

    Any number of drains may run at once, and any of them may die. Labels are preceded by the events they speak of:
    draining labels drains events first. Nothing happens where no store is yet.
    """
    if not store_path.exists():
        return Delivery()
    with OnlineStore.open(store_path, lake.task) as store:
        upto = journal.last(store, kind)
        if kind == "labels":
            drain(lake, store_path, "events", run_id=run_id)
        return _drain(lake, store, kind, upto, run_id)


def _drain(lake: Lake, store: OnlineStore, kind: StreamName, upto: int, run_id: str) -> Delivery:
    source, account = f"journal:{store.store_id}", Delivery()
    while (done := lake.snapshot("deliveries").mark(account_id(source, kind))) < upto:
        records = [
            record for record in journal.read(store, kind, max(done, 0), BATCH_RECORDS) if record.sequence <= upto
        ]
        if not records:
            break
        offsets = pl.Series([record.sequence for record in records], dtype=pl.Int64)
        frame = _FRAMES[kind](lake.task, records)
        account += take(lake, kind, Batch(frame, offsets=offsets), source, run_id=run_id)
    journal.trim(store, kind, done)
    return account


def _instants(micros: Sequence[int]) -> pl.Series:
    return pl.Series(micros, dtype=pl.Int64).cast(INSTANT)


def _events(task: Task, records: Sequence[journal.Record]) -> pl.DataFrame:
    events = cast("Sequence[EventRecord]", records)
    head = {
        "event_id": pl.Series([record.event_id for record in events], dtype=task.events.key_type.dtype()),
        "event_time": _instants([record.event_time for record in events]),
        "available_at": _instants([record.available_at for record in events]),
    }
    values = {
        name: pl.Series([record.values.get(name) for record in events], dtype=column.dtype(), strict=False)
        for name, column in task.events.columns.items()
    }
    return pl.DataFrame(head | values)


def _labels(task: Task, records: Sequence[journal.Record]) -> pl.DataFrame:
    labels = cast("Sequence[LabelRecord]", records)
    return pl.DataFrame(
        {
            "event_id": pl.Series([record.event_id for record in labels], dtype=task.events.key_type.dtype()),
            "label": pl.Series([record.label for record in labels], dtype=pl.Int64),
            "kind": pl.Series([record.kind for record in labels], dtype=pl.String),
            "available_at": _instants([record.available_at for record in labels]),
        }
    )


def _predictions(task: Task, records: Sequence[journal.Record]) -> pl.DataFrame:
    predictions = cast("Sequence[PredictionRecord]", records)
    # A vector of another feature set has no columns here; its request is kept, and its hash says which set it was.
    unknown = [float("nan")] * len(task.feature_names)
    vectors = np.array(
        [record.vector if record.feature_hash == task.feature_hash else unknown for record in predictions],
        dtype=np.float64,
    )
    rows = pl.DataFrame(
        {
            "prediction_id": [record.prediction_id for record in predictions],
            "event_id": pl.Series([record.event_id for record in predictions], dtype=task.events.key_type.dtype()),
            "event_time": _instants([record.event_time for record in predictions]),
            "available_at": _instants([record.available_at for record in predictions]),
            "sequence": [record.sequence for record in predictions],
            "request": [msgspec.json.encode(record.values).decode() for record in predictions],
        }
    )
    answers = pl.DataFrame(
        [
            (record.feature_hash, record.score, record.decision, record.version, record.role, record.exposed)
            for record in predictions
        ],
        schema={"feature_hash": pl.String, "score": pl.Float64, "decision": pl.Boolean}
        | {"version": pl.Int64, "role": pl.String, "exposed": pl.Boolean},
        orient="row",
    )
    columns = [pl.Series(name, vectors[:, at]).fill_nan(None) for at, name in enumerate(task.feature_names)]
    return pl.concat([rows, pl.DataFrame(columns), answers], how="horizontal")


_FRAMES = {"events": _events, "labels": _labels, "predictions": _predictions}
