"""The desk of one worker: answers requests from the online store and the champion's slot. No HTTP here.

Bodies and their types are in `schemas`, loading models in `slots`, features and the journal in `feature_defs.engine`.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import lmdb
import msgspec

from bento import instants, metrics, openapi
from bento.configuration import Configuration
from bento.refusal import Refusal
from bento.schemas import Schemas
from bento.slots import Slots
from feature_defs import duration
from feature_defs.engine import journal
from feature_defs.engine.online import OnlineStore
from feature_defs.engine.records import Event, Scored, Statement

AHEAD_US = 366 * duration.DAY
"""Farthest an event may lie ahead of the newest arrival. On a watermark clock one event of the year 2200 would move
the task's time there for good: every label mature, every window empty."""

T = TypeVar("T")

logger = logging.getLogger("bento")


class Desk:
    """Answers for one task. Open it once per worker; `watch` keeps it up to date."""

    def __init__(self, configuration: Configuration, packaged: Path | None = None) -> None:
        self.configuration = configuration
        self.task = configuration.task
        self.schemas = Schemas(self.task)
        self.slots = Slots(self.task, configuration.home.serving(self.task.name), packaged)
        self._store: OnlineStore | None = None
        self._fault = "the online store is not open"
        self._newest = 0  # arrival, as far as this worker knows

    def open(self) -> None:
        """Open the store and take up the plan. What fails leaves the desk not ready, and is tried again by `watch`."""
        self._warm_up()
        self.check()
        self.slots.refresh()

    def close(self) -> None:
        """Close the store. What was acknowledged is in it already."""
        if self._store is not None:
            self._store.close()
            self._store = None

    async def watch(self) -> None:
        """Look at the plan and at the store again and again, beside the requests, until cancelled."""
        while True:
            await asyncio.sleep(self.configuration.plan_seconds)
            try:
                self.check()
                await asyncio.to_thread(self.slots.refresh)
                self._measure()
            except Exception:  # whatever it was, the champion in the slot keeps answering
                logger.exception(
                    "Looking at the plan failed; the next look is in %s s", self.configuration.plan_seconds
                )

    def check(self) -> None:
        """Open the store if it is not open, and see that it takes writes and holds the features of this task."""
        try:
            if self._store is None:
                self._store = OnlineStore.open(self.configuration.home.store(self.task.name), self.task)
            # No statements: a transaction that changes nothing, and fails as one that did would.
            self._store.label([], now_us=self._now())
            self._newest = self._store.watermark
        except (OSError, ValueError, lmdb.Error) as wrong:
            self._fail(wrong)
        else:
            self._fault = ""

    def predict(self, body: bytes) -> bytes:
        """Score the events of a body, apply them to the features and journal them; in that order, in one transaction.

        Raises:
            Refusal: 400 or 422 for what the body holds, 503 when there is no champion or no store.
        """
        events, single = self.schemas.read_events(body)
        # One read of the slot: every answer of a request is of the same version, whatever happens meanwhile.
        champion = self.slots.champion
        if champion is None:
            raise Refusal(503, "no model serves yet", "the same again once a version is promoted; see /model")
        store = self._open_store()
        self._refuse_far_ahead(events)
        answers = self._write(lambda: store.observe(events, champion.score, now_us=self._now()))
        self._newest = max(self._newest, answers[-1].available_at_us)
        metrics.count_answers(answers)
        return self.schemas.write_predictions(answers, single=single)

    def label(self, body: bytes) -> bytes:
        """Take in the label statements of a body.

        Raises:
            Refusal: 400 or 422 for what the body holds, 503 when there is no store.
        """
        statements = self.schemas.read_labels(body)
        store = self._open_store()
        receipts = self._write(lambda: store.label(statements, now_us=self._now()))
        metrics.count_receipts(statements, receipts)
        return self.schemas.write_receipts(receipts)

    def model(self) -> bytes:
        """Who answers, since when, and what could not be loaded."""
        store = self._store
        return msgspec.json.encode(
            {
                "task": self.task.name,
                "feature_hash": self.task.feature_hash,
                "features": self.task.feature_names,
                **self.slots.describe(),
                "store": None
                if store is None
                else {
                    "id": store.store_id,
                    "sequence": store.sequence,
                    "watermark": instants.text(store.watermark) if store.watermark > 0 else None,
                    "backlog": backlog(store),
                },
            }
        )

    def faults(self) -> list[str]:
        """Why requests cannot be answered now; empty when they can."""
        found = []
        if self.slots.champion is None:
            refused = self.slots.refused
            found.append(f"no champion: {refused.reason if refused else 'no version is promoted yet'}")
        if self._fault:
            found.append(self._fault)
        return found

    def _warm_up(self) -> None:
        """Answer an example in a store that is thrown away: it loads or compiles what no request should wait for."""
        [event], _ = self.schemas.read_events(msgspec.json.encode(openapi.example(self.schemas)))
        statement = Statement(event.event_id, 1, "truth", event.event_time_us)
        scored = Scored(score=0.0, decision=False, version=0)
        with TemporaryDirectory() as folder, OnlineStore.open(Path(folder), self.task) as store:
            store.observe([event], lambda vectors: [scored] * len(vectors), now_us=self._now())
            store.label([statement], now_us=self._now())

    def _open_store(self) -> OnlineStore:
        if self._store is None or self._fault:
            raise Refusal(503, self._fault, "the same again once /readyz says that it is well")
        return self._store

    def _write(self, transaction: Callable[[], T]) -> T:
        try:
            return transaction()
        except (ValueError, OverflowError) as wrong:
            raise Refusal(422, str(wrong), "what the stream declares, see /docs.json; nothing has changed") from wrong
        except (OSError, lmdb.Error) as wrong:
            self._fail(wrong)
            raise Refusal(503, self._fault, "the same again once /readyz says that it is well") from wrong

    def _fail(self, wrong: Exception) -> None:
        fault = f"the online store does not work: {wrong}"
        if fault != self._fault:
            logger.error("The desk is not ready: %s", fault)
        self._fault = fault

    def _refuse_far_ahead(self, events: list[Event]) -> None:
        watermark = self._newest
        if watermark <= 0:
            return
        for number, event in enumerate(events):
            if event.event_time_us > watermark + AHEAD_US:
                time_column = self.task.events.time
                raise Refusal(
                    422,
                    f"row {number}: {time_column} {instants.text(event.event_time_us)} is more than "
                    f"{AHEAD_US // duration.DAY} days ahead of the newest arrival, {instants.text(watermark)}",
                    f"{time_column}: {instants.EXPECTED}",
                )

    def _now(self) -> int | None:
        return time.time_ns() // 1000 if self.task.clock == "wall" else None

    def _measure(self) -> None:
        metrics.CHAMPION.set(self.slots.champion.version if self.slots.champion else 0)
        metrics.REFUSED_PLANS.set(self.slots.refused is not None)
        if self._store is not None:
            metrics.WATERMARK.set(self._store.watermark / 1e6)
            for kind, count in backlog(self._store).items():
                metrics.BACKLOG.labels(kind).set(count)


def backlog(store: OnlineStore) -> dict[str, Any]:
    """Journal records that no drain has taken yet, by kind."""
    return {kind: journal.backlog(store, kind) for kind in ("events", "labels", "predictions")}
