"""Keeps the online store in step with the lake: what reached the lake by file has not passed through the store.

What the store keeps, and how it is rebuilt, is in `feature_defs.engine`.
"""

import msgspec
import polars as pl

from ct_assets import entity_state
from ct_assets.lake.lake import Lake
from ct_assets.release import atomic
from ct_assets.settings import Home
from feature_defs.engine.online import OnlineStore

FOLLOWED = ("events", "labels")
NOTE = "in_step.json"


class InStep(msgspec.Struct, frozen=True):
    """What the store was last rebuilt from: the feature set, and the rows that had come by other ways than its journal.

    `rebuilt` says whether this very call did it.
    """

    store_id: str
    feature_hash: str
    delivered: int
    rebuilt: bool
    events: int
    labels: int


def bring_up(home: Home, lake: Lake) -> InStep:
    """Rebuild the store of a task from the entity state, unless nothing came by other ways since it was last done.

    Bring the entity state up first. What the journal still holds is kept. Run it where nothing drains the journal
    meanwhile: a record that moves from the journal to the lake between the two reads would be lost to the store until
    the next rebuild.
    """
    task = lake.task
    with OnlineStore.open(home.store(task.name), task) as store:
        delivered, note = _delivered(lake, store.store_id), home.store(task.name) / NOTE
        last = msgspec.json.decode(note.read_bytes(), type=InStep) if note.exists() else None
        if last and (last.store_id, last.feature_hash, last.delivered) == (
            store.store_id,
            task.feature_hash,
            delivered,
        ):
            return msgspec.structs.replace(last, rebuilt=False)
        state = entity_state.load(lake)
        store.bootstrap(state.events, state.labels)
        done = InStep(store.store_id, task.feature_hash, delivered, True, len(state.events), len(state.labels))
        # Cut off before this line, it is done again: a rebuild from the same rows changes nothing.
        atomic.write(note, msgspec.json.encode(done))
        return done


def _delivered(lake: Lake, store_id: str) -> int:
    """Rows that came into the lake otherwise than through the journal of this store."""
    others = ~pl.col("source").str.starts_with(f"journal:{store_id}") & pl.col("stream").is_in(FOLLOWED)
    return int(lake.read("deliveries", where=others).select(pl.col("stored").sum()).collect().item())
