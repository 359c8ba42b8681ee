"""Where random numbers come from: one independent stream per seed, purpose and day.

A day's draws depend on nothing but its own streams, so simulating more days never changes the earlier ones.
"""

from enum import IntEnum

import numpy as np

# Compromises and leaks begin before day 0, and seeds of a bit generator must not be negative.
_EARLIEST_DAY = 1_000


class Purpose(IntEnum):
    """What a stream of random numbers is for. The values are part of what a seed means: never renumber them."""

    PLACES = 0
    HABITS = 1
    PAYMENTS = 2
    COMPROMISE = 3
    LEAK = 4
    LEAKED_PAYMENTS = 5
    CARD_TESTING = 6
    CHARGEBACK = 7
    NULLS = 8
    DELIVERY = 9


def generator(seed: int, purpose: Purpose, day: int = 0) -> np.random.Generator:
    """The stream of random numbers of `purpose` on `day` (counted from the first simulated day, at least -1,000)."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, purpose, day + _EARLIEST_DAY])))
