"""The simulated world against the description it was written from: rates, season, places and fraud."""

from dataclasses import replace
from datetime import date

import numpy as np
import polars as pl
import pytest
from scipy import stats

from ct_assets.simulator import fraud, season
from ct_assets.simulator.fraud import Scenario
from ct_assets.simulator.payments import Simulation, simulate
from ct_assets.simulator.randomness import Purpose, generator
from ct_assets.simulator.world import World, reach

SIMULATION = Simulation(seed=11, days=56)


@pytest.fixture(scope="module")
def events() -> pl.DataFrame:
    return simulate(SIMULATION).events


def test_columns_are_those_of_the_stream(events: pl.DataFrame) -> None:
    instant = pl.Datetime("us", "UTC")
    assert dict(events.schema) == {
        "transaction_id": pl.Int64,
        "tx_time": instant,
        "customer_id": pl.Int32,
        "terminal_id": pl.Int32,
        "amount": pl.Float64,
        "scenario": pl.Int8,
        "delivered_at": instant,
    }
    assert events.null_count().sum_horizontal().item() == 0
    assert events["transaction_id"].to_list() == list(range(len(events)))
    assert events["tx_time"].is_sorted()


def test_amounts_are_whole_positive_cents(events: pl.DataFrame) -> None:
    cents = events["amount"].to_numpy() * 100
    assert cents.min() >= 1
    assert np.array_equal(np.rint(cents) / 100, events["amount"].to_numpy())


def test_volume_is_what_the_world_says(events: pl.DataFrame) -> None:
    # Customers differ (even on 0 to 4 a day), so the total has the spread of 1,250 such means; 5 sigma around it.
    per_customer_day = len(events) / SIMULATION.world.customers / SIMULATION.days
    assert abs(per_customer_day - 2.0) < 5 * (4 / 12**0.5) / SIMULATION.world.customers**0.5


def test_week_has_its_season(events: pl.DataFrame) -> None:
    counts = events["tx_time"].dt.weekday().value_counts().sort("tx_time")["count"].to_numpy()
    expected = season.WEEK / season.WEEK.sum() * len(events)
    # Given its rate, a day's volume is Poisson; chi-square on 6 degrees of freedom.
    assert stats.chisquare(counts, expected).pvalue > 1e-4


def test_day_has_its_season(events: pl.DataFrame) -> None:
    counts = events["tx_time"].dt.hour().value_counts().sort("tx_time")["count"].to_numpy()
    assert stats.chisquare(counts, season.DAY / season.DAY.sum() * len(events)).pvalue > 1e-4


def test_customers_pay_within_reach(events: pl.DataFrame) -> None:
    world = SIMULATION.world
    random = generator(SIMULATION.seed, Purpose.PLACES)
    homes = random.uniform(0.0, world.side, (world.customers, 2))
    shops = random.uniform(0.0, world.side, (world.terminals, 2))
    pairs = events.select("customer_id", "terminal_id").unique()
    customers, terminals = pairs["customer_id"].to_numpy(), pairs["terminal_id"].to_numpy()
    distance = np.linalg.norm(homes[customers] - shops[terminals], axis=1)
    assert distance.max() <= world.reach
    # Two months are enough for nearly every pair of an average customer to have met.
    assert len(pairs) > 0.9 * len(reach(world, SIMULATION.seed).terminals) * 0.7


def test_a_lonely_customer_walks_to_the_nearest_terminal() -> None:
    world = World(customers=50, terminals=3, reach=0.001)
    near = reach(world, 1)
    assert np.diff(near.starts).tolist() == [1] * 50
    random = generator(1, Purpose.PLACES)
    homes, shops = random.uniform(0, world.side, (50, 2)), random.uniform(0, world.side, (3, 2))
    nearest = [int(np.argmin([np.hypot(*(home - shop)) for shop in shops])) for home in homes]
    assert near.terminals.tolist() == nearest


def test_genuine_amounts_follow_the_customer(events: pl.DataFrame) -> None:
    genuine = events.filter(pl.col("scenario") == Scenario.GENUINE)
    means = genuine.group_by("customer_id").agg(pl.col("amount").mean(), pl.len()).filter(pl.col("len") > 50)
    # Even on 5 to 100 before the rare draw above the limit is taken out.
    assert means["amount"].min() > 2.0  # type: ignore[operator]
    assert means["amount"].max() < 115.0  # type: ignore[operator]
    assert abs(means["amount"].mean() - 52.5) < 4.0  # type: ignore[operator]
    assert genuine["amount"].max() <= fraud.AMOUNT_LIMIT


def test_every_kind_of_fraud_is_there_and_rare(events: pl.DataFrame) -> None:
    share = {row["scenario"]: row["len"] / len(events) for row in events.group_by("scenario").len().to_dicts()}
    assert set(share) == {Scenario.GENUINE, Scenario.AMOUNT, Scenario.TERMINAL, Scenario.CARD}
    assert 0.0001 < share[Scenario.AMOUNT] < 0.003
    # One of 2,500 terminals falls per day for 28 days: 1.1 % of the payments, with the spread of 84 falls.
    assert 0.006 < share[Scenario.TERMINAL] < 0.018
    # Two of 1,250 cards leak per day for 14 days, a third of their payments: 0.75 %.
    assert 0.004 < share[Scenario.CARD] < 0.012


def test_a_compromised_terminal_takes_only_frauds_for_28_days(events: pl.DataFrame) -> None:
    bad = events.filter(pl.col("scenario") == Scenario.TERMINAL)
    terminal = bad["terminal_id"].value_counts().sort("count", "terminal_id")["terminal_id"][-1]
    seen = events.filter(pl.col("terminal_id") == terminal)
    day = (pl.col("tx_time") - SIMULATION.midnight).dt.total_days()
    false = seen.filter(pl.col("scenario") == Scenario.TERMINAL).select(day.min().alias("a"), day.max().alias("b"))
    first, last = false.row(0)
    assert last - first < fraud.COMPROMISED_DAYS
    assert seen.filter(day.is_between(first, last))["scenario"].min() > 0  # type: ignore[operator]


def test_a_leaked_card_pays_five_times_as_much_a_third_of_the_time() -> None:
    calm = replace(SIMULATION, world=World(leaked_per_day=0.0))
    everywhere = replace(SIMULATION, world=World(leaked_per_day=1.0))
    before, after = simulate(calm).events, simulate(everywhere).events
    stolen = after["scenario"] == Scenario.CARD
    assert abs(stolen.mean() - 1 / 3) < 0.005  # type: ignore[operator]
    factor = (after["amount"] / before["amount"]).filter(stolen & (before["amount"] > 10))
    assert factor.is_between(4.99, 5.01).all()
    assert (after["amount"] == before["amount"]).filter(~stolen).all()


def test_same_seed_gives_the_same_bytes_and_another_seed_does_not() -> None:
    small = Simulation(seed=5, days=6)
    once, again = simulate(small), simulate(small)
    assert once.events.equals(again.events)
    assert once.labels.equals(again.labels)
    assert not once.events.equals(simulate(replace(small, seed=6)).events)


def test_more_days_never_change_the_earlier_ones() -> None:
    short, long = simulate(Simulation(seed=5, days=6)), simulate(Simulation(seed=5, days=9))
    assert long.events.head(len(short.events)).equals(short.events)
    ids = short.events["transaction_id"]
    assert long.labels.filter(pl.col("transaction_id").is_in(ids.implode())).equals(short.labels)


def test_the_season_follows_the_calendar_not_the_day_number() -> None:
    # 2025-01-11 is a Saturday, the busiest day; 2025-01-12 a Sunday, the quietest.
    saturday = simulate(Simulation(seed=5, days=1, start=date(2025, 1, 11))).events
    sunday = simulate(Simulation(seed=5, days=1, start=date(2025, 1, 12))).events
    assert len(saturday) > 1.2 * len(sunday)
