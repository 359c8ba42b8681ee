"""Customers and terminals in a square, who can pay where, and what each customer tends to spend."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ct_assets.simulator.randomness import Purpose, generator

# Customers are compared with all terminals in blocks, so that memory stays below 100 MB for any world.
_BLOCK = 1_000


@dataclass(frozen=True, kw_only=True)
class World:
    """The size of the world and how often its cards and terminals fall.

    `side` and `reach` are lengths in one unit: a customer pays at terminals within `reach`.
    `payments_per_day`: of an average customer, on an average day.
    `compromised_per_day`, `leaked_per_day`: share of all terminals, and of all cards, that fall on one day.
    """

    customers: int = 1_250
    terminals: int = 2_500
    side: float = 100.0
    reach: float = 5.0
    payments_per_day: float = 2.0
    compromised_per_day: float = 0.0004
    leaked_per_day: float = 0.0016


@dataclass(frozen=True)
class Reach:
    """The terminals of every customer: those of customer c are `terminals[starts[c] : starts[c + 1]]`."""

    starts: NDArray[np.int64]
    terminals: NDArray[np.int32]

    def draw(self, random: np.random.Generator, customers: NDArray[np.int32]) -> NDArray[np.int32]:
        """One terminal, evenly drawn, for each of `customers`."""
        first = self.starts[customers]
        width = self.starts[customers + 1] - first
        drawn = first + (random.random(len(customers)) * width).astype(np.int64)
        chosen: NDArray[np.int32] = self.terminals[np.minimum(drawn, first + width - 1)]
        return chosen


@dataclass(frozen=True)
class Habits:
    """What a customer does: `mean` spend per payment in euros, and payments per average day."""

    mean: NDArray[np.float64]
    payments_per_day: NDArray[np.float64]


def habits(world: World, seed: int) -> Habits:
    """Mean spend even in 5 to 100 euros; payments per day even from 0 to twice the world's mean."""
    random = generator(seed, Purpose.HABITS)
    return Habits(
        mean=random.uniform(5.0, 100.0, world.customers),
        payments_per_day=random.uniform(0.0, 2.0 * world.payments_per_day, world.customers),
    )


def reach(world: World, seed: int) -> Reach:
    """Who can pay where. A customer with no terminal in reach walks to the nearest one."""
    random = generator(seed, Purpose.PLACES)
    homes = random.uniform(0.0, world.side, (world.customers, 2))
    shops = random.uniform(0.0, world.side, (world.terminals, 2))
    counts: list[NDArray[np.int64]] = []
    terminals: list[NDArray[np.int32]] = []
    for start in range(0, world.customers, _BLOCK):
        block = homes[start : start + _BLOCK]
        squared = ((block[:, None, :] - shops[None, :, :]) ** 2).sum(axis=2)
        near = squared <= world.reach**2
        lonely = ~near.any(axis=1)
        near[lonely, squared[lonely].argmin(axis=1)] = True
        counts.append(near.sum(axis=1))
        terminals.append(near.nonzero()[1].astype(np.int32))
    starts = np.concatenate([[0], np.cumsum(np.concatenate(counts))]).astype(np.int64)
    return Reach(starts, np.concatenate(terminals))
