"""Bring rows into entity order with a stable counting sort: rows in time order stay in time order per entity."""

import numpy as np

from feature_defs.engine.jit import kernel


@kernel
def group(entities, count):  # type: ignore[no-untyped-def]
    """Stable counting sort by dense entity id; rows with id -1 are left out.

    Returns:
        starts: (count + 1,) first place of each entity, and the end of the last.
        order: the row numbers in entity order.
    """
    starts = np.zeros(count + 1, np.int64)
    for entity in entities:
        if entity >= 0:
            starts[entity + 1] += 1
    for entity in range(count):
        starts[entity + 1] += starts[entity]
    places = starts[:-1].copy()
    order = np.empty(starts[count], np.int64)
    for row in range(len(entities)):
        entity = entities[row]
        if entity >= 0:
            order[places[entity]] = row
            places[entity] += 1
    return starts, order
