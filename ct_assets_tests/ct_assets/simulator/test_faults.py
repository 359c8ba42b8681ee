"""Each fault does what it says, and nothing else."""

from datetime import timedelta

import polars as pl
import pytest

from ct_assets.simulator import fraud
from ct_assets.simulator.faults import Faults, Span
from ct_assets.simulator.fraud import Scenario
from ct_assets.simulator.payments import Payments, Simulation, simulate

DAYS = 12
DAY = (pl.col("tx_time") - Simulation(days=DAYS).midnight).dt.total_days()


def _simulate(**faults: object) -> Payments:
    return simulate(Simulation(seed=9, days=DAYS, faults=Faults(**faults)))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def healthy() -> Payments:
    return _simulate()


def test_card_testing_begins_on_its_day_and_leaves_the_rest_alone(healthy: Payments) -> None:
    attacked = _simulate(card_testing_from=5)
    columns = ["tx_time", "customer_id", "terminal_id", "amount", "scenario"]
    tests = attacked.events.filter(pl.col("scenario") == Scenario.CARD_TESTING)
    assert sorted(tests.select(DAY)["tx_time"].unique()) == list(range(5, DAYS))
    rest = attacked.events.filter(pl.col("scenario") != Scenario.CARD_TESTING)
    assert rest.select(columns).equals(healthy.events.select(columns))


def test_card_testing_is_small_sums_in_bursts_at_few_shops() -> None:
    tests = _simulate(card_testing_from=0).events.filter(pl.col("scenario") == Scenario.CARD_TESTING)
    assert tests["amount"].is_between(0.5, 3.0).all()
    assert (tests["tx_time"].dt.hour() < 6).all()
    assert tests["terminal_id"].n_unique() == fraud.TEST_SHOPS
    bursts = tests.group_by("customer_id", DAY.alias("day")).agg(
        pl.len(), gap=pl.col("tx_time").sort().diff().max(), span=pl.col("tx_time").max() - pl.col("tx_time").min()
    )
    assert bursts["len"].is_between(4, 8).all()
    assert (bursts["gap"] <= timedelta(seconds=181)).all()
    # 0.5 % of 1,250 cards, every day.
    assert bursts.group_by("day").len()["len"].unique().to_list() == [6]


def test_unit_bug_reports_cents_on_its_days_only(healthy: Payments) -> None:
    buggy = _simulate(unit_bug=Span(3, 2)).events
    hit = buggy.select(DAY.is_between(3, 4)).to_series()
    before, after = healthy.events["amount"], buggy["amount"]
    assert after.filter(~hit).equals(before.filter(~hit))
    assert after.filter(hit).to_list() == [float(round(amount * 100)) for amount in before.filter(hit)]
    # The truth is that of the real amounts: the bug changes no label.
    assert buggy["scenario"].equals(healthy.events["scenario"])


def test_null_burst_loses_a_share_of_amounts_on_its_days_only(healthy: Payments) -> None:
    hit = _simulate(null_burst=Span(4, 3), null_share=0.25).events
    by_day = hit.group_by(DAY.alias("day")).agg(pl.col("amount").is_null().mean()).sort("day")
    assert by_day.filter(~pl.col("day").is_between(4, 6))["amount"].sum() == 0
    assert by_day.filter(pl.col("day").is_between(4, 6))["amount"].is_between(0.21, 0.29).all()
    kept = hit["amount"].is_not_null()
    assert hit["amount"].filter(kept).equals(healthy.events["amount"].filter(kept))


def test_label_outage_holds_statements_back_until_it_ends(healthy: Payments) -> None:
    outage = Span(8, 3)
    held = _simulate(label_outage=outage).labels
    midnight = Simulation(days=DAYS).midnight
    begins, ends = midnight + timedelta(days=8), midnight + timedelta(days=11)
    assert held.filter((pl.col("label_time") >= begins) & (pl.col("label_time") < ends)).is_empty()
    during = healthy.labels.filter((pl.col("label_time") >= begins) & (pl.col("label_time") < ends))
    released = held.filter(pl.col("label_time") == ends)
    assert sorted(released["transaction_id"]) == sorted(during["transaction_id"])
    outside = (pl.col("label_time") < begins) | (pl.col("label_time") > ends)
    assert held.filter(outside).equals(healthy.labels.filter(outside))


def test_duplicated_payments_come_again_soon_and_unchanged(healthy: Payments) -> None:
    events = _simulate(duplicated=0.05).events
    again = events.filter(~pl.col("transaction_id").is_first_distinct())
    assert abs(len(again) / len(healthy.events) - 0.05) < 0.01
    first = events.filter(pl.col("transaction_id").is_first_distinct())
    assert first.equals(healthy.events)
    pairs = again.join(first, on="transaction_id", how="left", suffix="_first")
    assert (pairs["amount"] == pairs["amount_first"]).all()
    pause = pairs["delivered_at"] - pairs["delivered_at_first"]
    assert pause.is_between(timedelta(microseconds=1), timedelta(minutes=10)).all()


def test_late_payments_are_delivered_within_two_hours_and_out_of_order(healthy: Payments) -> None:
    events = _simulate(late=0.1).events
    assert events["delivered_at"].is_sorted()
    assert not events["tx_time"].is_sorted()
    lateness = events["delivered_at"] - events["tx_time"]
    late = lateness > timedelta(0)
    assert abs(late.mean() - 0.1) < 0.01  # type: ignore[operator]
    assert (lateness <= timedelta(hours=2)).all()
    assert events.sort("transaction_id").drop("delivered_at").equals(healthy.events.drop("delivered_at"))
