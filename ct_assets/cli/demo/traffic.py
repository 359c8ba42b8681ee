"""Everything that is said to the service, in order of time, and the record of what it answered.

One request per payment as it is delivered, and every hour the labels that became known in it. The record is appended
after each answer, so that a killed demo goes on with the step it was at: repeating that step changes nothing, since
the service knows events by their key and labels by their statement's name.
"""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl

from ct_assets.cli.demo.client import Reply, UnreachableError
from ct_assets.cli.demo.narration import Narrator
from ct_assets.cli.demo.scene import Scene
from ct_assets.cli.demo.service import Service

# The most that the service takes in one request.
LABELS_PER_REQUEST = 1_000
# How often one step is tried when the service goes away under it.
TRIES = 3

RECORD = np.dtype(
    [
        ("step", "<i4"),
        ("seconds", "<f8"),
        ("status", "<i4"),
        ("version", "<i4"),
        ("repeated", "<i4"),
        ("unknown", "<i4"),
    ]
)


class TrafficError(Exception):
    """The service could not be reached, or answered something else than a prediction."""


@dataclass(frozen=True)
class Step:
    """One request: a payment (`key` is its id), or labels (`key` is None)."""

    path: str
    body: dict[str, Any]
    key: int | str | None


def steps(scene: Scene) -> list[Step]:
    """All requests of the scene in order of time; an hour's labels come when the hour ends."""
    stream, label = scene.task.events, scene.task.label
    instant = "%Y-%m-%dT%H:%M:%S%.6fZ"
    names = [stream.key, stream.time, *stream.columns]
    events = scene.traffic.with_columns(pl.col(stream.time).dt.strftime(instant))
    told = scene.telling.with_row_index("_number").select(
        hour=pl.col(label.time_column).dt.truncate("1h") + timedelta(hours=1),
        **{stream.key: stream.key},
        label=label.column,
        known_at=pl.col(label.time_column).dt.strftime(instant),
        statement_id=pl.format("demo-{}", "_number"),
    )
    timed = [
        (row["delivered"], 1, Step("/predict", {name: row[name] for name in names}, row[stream.key]))
        for row in events.iter_rows(named=True)
    ]
    for (hour,), rows in told.group_by("hour", maintain_order=True):
        batches = rows.drop("hour").iter_slices(LABELS_PER_REQUEST)
        timed.extend((hour, 0, Step("/labels", {"labels": batch.to_dicts()}, None)) for batch in batches)
    # At the same instant labels go first; within a kind the order of arrival stays.
    return [step for _, _, step in sorted(timed, key=lambda item: item[:2])]


class Log:
    """What was answered: one fixed-size record per step, appended unbuffered, so that a kill loses the last at most."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC)
        size = os.fstat(self._descriptor).st_size
        # A torn last record was not written: its step is taken again.
        os.ftruncate(self._descriptor, size - size % RECORD.itemsize)
        self._path = path

    def append(self, record: tuple[int, float, int, int, int, int]) -> None:
        """Add one answer."""
        os.write(self._descriptor, np.array([record], dtype=RECORD).tobytes())

    def read(self) -> np.ndarray[Any, Any]:
        """All answers so far, as a structured array of `RECORD`."""
        return np.fromfile(self._path, dtype=RECORD)

    def close(self) -> None:
        """Stop writing."""
        os.close(self._descriptor)


def send(service: Service, plan: Sequence[Step], upto: int, log: Log, narrator: Narrator, text: str) -> None:
    """Send the steps of `plan` before `upto` that the log does not have yet, one after the other.

    Raises:
        TrafficError: a step got no answer in `TRIES` tries, or one that is neither acceptance nor refusal.
    """
    begin = len(log.read())
    encoder = msgspec.json.Encoder()
    with narrator.bar(text, total=upto, done=begin) as bar:
        for number in range(begin, upto):
            step = plan[number]
            began = time.perf_counter()
            reply = _insist(service, step, encoder.encode(step.body))
            log.append((number, time.perf_counter() - began, reply.status, *_findings(step, reply)))
            bar.reach(number + 1)


def _insist(service: Service, step: Step, body: bytes) -> Reply:
    for left in reversed(range(TRIES)):
        try:
            reply = service.post(step.path, body)
        except UnreachableError as lost:
            if not left:
                raise TrafficError(f"{step.path}: no answer in {TRIES} tries ({lost}); see {service.log}") from lost
            service.revive()
            continue
        if reply.accepted or reply.refused or not left:
            return reply
    raise AssertionError("the last try returns or raises")


def _findings(step: Step, reply: Reply) -> tuple[int, int, int]:
    """Version, repeats and unknown events of an accepted answer."""
    if not reply.accepted:
        return 0, 0, 0
    answer = msgspec.json.decode(reply.body)
    if step.key is not None:
        return int(answer["version"]), int(answer["repeated"]), 0
    receipts = answer["receipts"]
    return 0, sum(one["repeated"] for one in receipts), sum(not one["accepted"] for one in receipts)


@dataclass(frozen=True)
class Tally:
    """What the traffic came to. Latencies are in milliseconds, as seen by the client, connection included."""

    requests: int
    failed: int
    refused: int
    duplicates: int
    p50_ms: float
    p99_ms: float
    labels: int
    versions: dict[int, int]


def tally(plan: Sequence[Step], log: Log) -> Tally:
    """Count the answers in the log against the plan."""
    records = log.read()
    sent = [plan[number] for number in records["step"]]
    is_event = np.array([step.key is not None for step in sent], dtype=np.bool_)
    status = records["status"]
    accepted = (status >= 200) & (status < 300)
    refused = (status >= 400) & (status < 500)
    served = is_event & accepted
    milliseconds = records["seconds"][served] * 1_000.0
    p50, p99 = np.percentile(milliseconds, [50, 99]) if served.any() else (0.0, 0.0)
    versions, counts = np.unique(records["version"][served], return_counts=True)
    return Tally(
        requests=int((is_event & ~refused).sum()),
        failed=int((~accepted & ~refused).sum()),
        refused=int(refused.sum()),
        # By the plan, not by the answers: a step repeated after a kill is one offer, sent twice.
        duplicates=int(served.sum()) - len({sent[index].key for index in np.flatnonzero(served)}),
        p50_ms=round(float(p50), 3),
        p99_ms=round(float(p99), 3),
        labels=sum(len(sent[index].body["labels"]) for index in np.flatnonzero(~is_event & accepted)),
        versions={int(version): int(count) for version, count in zip(versions, counts, strict=True)},
    )


def split(plan: Sequence[Step], after: int) -> int:
    """Where to cut the plan so that the last `after` payments, and the labels among them, are left for later."""
    payments = [number for number, step in enumerate(plan) if step.key is not None]
    return payments[-after] if len(payments) > after else 0
