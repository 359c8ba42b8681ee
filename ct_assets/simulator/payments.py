"""The simulation itself: days of payments in the world, and what is said about them later."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl

from ct_assets.simulator import fraud, labels, season
from ct_assets.simulator.faults import Faults, deliver, garble
from ct_assets.simulator.fraud import Scenario
from ct_assets.simulator.progress import slow
from ct_assets.simulator.randomness import Purpose, generator
from ct_assets.simulator.world import Habits, Reach, World, habits, reach


@dataclass(frozen=True, kw_only=True)
class Simulation:
    """What to simulate. The same values give the same bytes, and more `days` never change the earlier ones."""

    seed: int = 0
    days: int = 60
    start: date = date(2025, 1, 6)
    world: World = field(default_factory=World)
    faults: Faults = field(default_factory=Faults)

    @property
    def midnight(self) -> datetime:
        """When day 0 begins."""
        return datetime(self.start.year, self.start.month, self.start.day, tzinfo=UTC)


@dataclass(frozen=True)
class Payments:
    """A simulated stream.

    `events`: `transaction_id, tx_time, customer_id, terminal_id, amount, scenario, delivered_at`, in order of
    delivery; a payment delivered twice is there twice. `scenario` says why (see `fraud.Scenario`).
    `labels`: `transaction_id, is_fraud, label_time`, in order of arrival; a correction is a second row.
    """

    events: pl.DataFrame
    labels: pl.DataFrame


def simulate(simulation: Simulation) -> Payments:
    """Simulates `simulation.days` days; a progress bar appears if that takes longer than two seconds."""
    world, seed, faults = simulation.world, simulation.seed, simulation.faults
    near, customers = reach(world, seed), habits(world, seed)
    events: list[pl.DataFrame] = []
    told: list[pl.DataFrame] = []
    known = 0
    for day in slow(range(simulation.days), "simulating payments"):
        paid = _day(simulation, day, known, near, customers)
        known += len(paid)
        told.append(labels.statements(paid, day, seed, simulation.midnight, faults))
        reported = paid.with_columns(garble(paid["amount"], day, seed, faults))
        events.append(deliver(reported, day, seed, faults))
    return Payments(
        events=pl.concat(events).sort("delivered_at", "transaction_id", maintain_order=True),
        labels=pl.concat(told).sort("label_time", "transaction_id", maintain_order=True),
    )


def _day(simulation: Simulation, day: int, known: int, near: Reach, customers: Habits) -> pl.DataFrame:
    """The true payments of `day` in order of time, numbered from `known`."""
    world, seed = simulation.world, simulation.seed
    today = simulation.start + timedelta(days=day)
    random = generator(seed, Purpose.PAYMENTS, day)
    counts = random.poisson(customers.payments_per_day * season.weekday_factor(today.weekday()))
    customer = np.repeat(np.arange(world.customers, dtype=np.int32), counts)
    time = season.times_of_day(random, len(customer))
    terminal = near.draw(random, customer)
    mean = customers.mean[customer]
    amount = random.normal(mean, mean / 2)
    amount = np.where(amount > 0, amount, random.uniform(0.0, 2 * mean))

    scenario = np.where(amount > fraud.AMOUNT_LIMIT, Scenario.AMOUNT, Scenario.GENUINE).astype(np.int8)
    share = world.compromised_per_day
    compromised = fraud.fallen(seed, Purpose.COMPROMISE, share, world.terminals, day, fraud.COMPROMISED_DAYS)
    scenario[compromised[terminal]] = Scenario.TERMINAL
    leaked = fraud.fallen(seed, Purpose.LEAK, world.leaked_per_day, world.customers, day, fraud.LEAKED_DAYS)
    stolen = generator(seed, Purpose.LEAKED_PAYMENTS, day).random(len(customer)) < fraud.LEAKED_SHARE
    misused = leaked[customer] & stolen
    amount[misused] *= fraud.LEAKED_FACTOR
    scenario[misused] = Scenario.CARD

    testing_from = simulation.faults.card_testing_from
    if testing_from is not None and day >= testing_from:
        attack = fraud.card_testing(seed, day, world.customers, world.terminals)
        time, customer = np.concatenate([time, attack.time]), np.concatenate([customer, attack.customer])
        terminal, amount = np.concatenate([terminal, attack.terminal]), np.concatenate([amount, attack.amount])
        tests = np.full(len(attack.time), Scenario.CARD_TESTING, dtype=np.int8)
        scenario = np.concatenate([scenario, tests])

    order = np.argsort(time, kind="stable")
    midnight = pl.lit(simulation.midnight + timedelta(days=day)).cast(pl.Datetime("us", "UTC"))
    return pl.select(
        transaction_id=pl.int_range(known, known + len(order), dtype=pl.Int64),
        tx_time=midnight + pl.Series(time[order]).cast(pl.Duration("us")),
        customer_id=pl.Series(customer[order]),
        terminal_id=pl.Series(terminal[order]),
        # Whole cents, at least one: dividing an integer gives the float64 that parsing "12.34" gives.
        amount=pl.Series(np.maximum(np.rint(amount[order] * 100), 1.0) / 100),
        scenario=pl.Series(scenario[order]),
    )
