"""What every online store promises, whatever keeps its bytes. `online.OnlineStore` is the one over LMDB.

The suite in the tests (`test_store.py`) is written against this and must pass for each store there is.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import polars as pl

from feature_defs.engine.records import Answer, Event, LabelReceipt, Scored, Statement
from feature_defs.engine.values import Floats

Predict = Callable[[Floats], Sequence[Scored]]


class Store(Protocol):
    """State of all entities, answers served, and the journal: an event's effect and its entry commit together."""

    @property
    def store_id(self) -> str:
        """Names the store, from its first opening on."""

    @property
    def watermark(self) -> int:
        """The last instant of arrival given, in microseconds."""

    @property
    def sequence(self) -> int:
        """The last sequence number given."""

    def bootstrap(self, events: pl.DataFrame, labels: pl.DataFrame) -> None:
        """Replace the state of all entities by that of frames of what has arrived."""

    def observe(self, events: Sequence[Event], predict: Predict, *, now_us: int | None = None) -> list[Answer]:
        """Answer requests in order and let each take effect, all or nothing."""

    def label(self, statements: Sequence[Statement], *, now_us: int | None = None) -> list[LabelReceipt]:
        """Journal label statements and let the truths take effect, all or nothing."""

    def vector(self, event: Event) -> Floats:
        """The vector the model would see for `event` now; nothing changes."""

    def close(self) -> None:
        """Let go of what is open."""
