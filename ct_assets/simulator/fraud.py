"""Four kinds of fraud: what happens to cards and terminals, and which payments are therefore false."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from ct_assets.simulator.randomness import Purpose, generator

AMOUNT_LIMIT = 220.0
COMPROMISED_DAYS = 28
LEAKED_DAYS = 14
LEAKED_SHARE = 1 / 3
LEAKED_FACTOR = 5.0

# Card testing: small sums on many cards within minutes each, at night, at some shops without a counter.
# Forty of them: too many for a terminal's own history to give the attack away within days.
TESTED_CARDS_PER_DAY = 0.005
TESTS_PER_CARD = (4, 9)
TEST_AMOUNT = (0.5, 3.0)
TEST_SHOPS = 40
TEST_GAP_SECONDS = (20, 180)


class Scenario(IntEnum):
    """Why a payment is what it is. It explains errors; it is never a feature."""

    GENUINE = 0
    AMOUNT = 1
    TERMINAL = 2
    CARD = 3
    CARD_TESTING = 4


@dataclass(frozen=True)
class Attack:
    """The card-testing payments of one day; times are microseconds since its midnight."""

    time: NDArray[np.int64]
    customer: NDArray[np.int32]
    terminal: NDArray[np.int32]
    amount: NDArray[np.float64]


def fallen(seed: int, purpose: Purpose, share: float, size: int, day: int, duration: int) -> NDArray[np.bool_]:
    """Which of `size` cards or terminals are in bad hands on `day`.

    Each falls on any day with probability `share` and stays fallen for `duration` days. Falls before day 0 count, so
    the first days are no quieter than the later ones.
    """
    held = np.zeros(size, dtype=np.bool_)
    for fell in range(day - duration + 1, day + 1):
        held |= generator(seed, purpose, fell).random(size) < share
    return held


def card_testing(seed: int, day: int, customers: int, terminals: int) -> Attack:
    """One day of the attack: each tested card pays 4 to 8 times 0.50 to 3.00 euros, minutes apart, before 6 o'clock."""
    shops = generator(seed, Purpose.CARD_TESTING).choice(terminals, min(TEST_SHOPS, terminals), replace=False)
    # Day 0's stream chose the shops above; the day's own draws come from the days after it.
    random = generator(seed, Purpose.CARD_TESTING, day + 1)
    cards = random.choice(customers, max(1, round(customers * TESTED_CARDS_PER_DAY)), replace=False)
    tests = random.integers(*TESTS_PER_CARD, len(cards))
    customer = np.repeat(cards, tests).astype(np.int32)
    began = np.repeat(random.integers(0, 5 * 3_600, len(cards)), tests)
    waited = random.integers(*TEST_GAP_SECONDS, len(customer))
    # Seconds since the first test of the same card: a running sum that starts anew with every card.
    total = np.cumsum(waited)
    since = total - np.repeat(total[np.cumsum(tests) - tests], tests)
    return Attack(
        time=(began + since).astype(np.int64) * 1_000_000 + random.integers(0, 1_000, len(customer)) * 1_000,
        customer=customer,
        terminal=random.choice(shops, len(customer)).astype(np.int32),
        amount=random.uniform(*TEST_AMOUNT, len(customer)),
    )
