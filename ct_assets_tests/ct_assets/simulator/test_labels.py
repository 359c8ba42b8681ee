"""Late labels: their delay, their corrections, and that every payment gets its truth in the end."""

import numpy as np
import polars as pl
import pytest
from scipy import stats

from ct_assets.simulator.labels import CHARGEBACK_MEDIAN_DAYS, CHARGEBACK_SIGMA, HORIZON_US
from ct_assets.simulator.payments import Payments, Simulation, simulate

_DAY_US = 86_400_000_000


@pytest.fixture(scope="module")
def payments() -> Payments:
    return simulate(Simulation(seed=3, days=50))


def _delays(payments: Payments) -> pl.DataFrame:
    delay = (pl.col("label_time") - pl.col("tx_time")).dt.total_microseconds()
    joined = payments.labels.join(payments.events, on="transaction_id", how="left", maintain_order="left")
    return joined.select("transaction_id", "is_fraud", "scenario", delay=delay)


def test_schema_and_order(payments: Payments) -> None:
    assert dict(payments.labels.schema) == {
        "transaction_id": pl.Int64,
        "is_fraud": pl.Int8,
        "label_time": pl.Datetime("us", "UTC"),
    }
    assert payments.labels["label_time"].is_sorted()


def test_the_last_statement_of_every_payment_is_the_truth(payments: Payments) -> None:
    last = payments.labels.unique("transaction_id", keep="last", maintain_order=True)
    truth = payments.events.join(last, on="transaction_id", how="left")
    assert truth["is_fraud"].null_count() == 0
    assert truth.select(((pl.col("scenario") > 0) == (pl.col("is_fraud") == 1)).all()).item()


def test_genuine_payments_are_stated_at_the_horizon(payments: Payments) -> None:
    genuine = _delays(payments).filter(pl.col("is_fraud") == 0)
    assert genuine["delay"].unique().to_list() == [HORIZON_US]


def test_chargebacks_are_lognormal_days_late(payments: Payments) -> None:
    days = _delays(payments).filter(pl.col("is_fraud") == 1)["delay"].to_numpy() / _DAY_US
    assert len(days) > 1_000
    law = stats.lognorm(s=CHARGEBACK_SIGMA, scale=CHARGEBACK_MEDIAN_DAYS)
    assert stats.kstest(days, law.cdf).pvalue > 1e-4
    assert 0.02 < np.mean(days > 7) < 0.07


def test_a_chargeback_after_the_horizon_corrects_a_statement(payments: Payments) -> None:
    delays = _delays(payments)
    late = delays.filter((pl.col("is_fraud") == 1) & (pl.col("delay") > HORIZON_US))["transaction_id"]
    both = (
        delays.group_by("transaction_id", maintain_order=True).agg("is_fraud").filter(pl.col("is_fraud").list.len() > 1)
    )
    assert sorted(both["transaction_id"]) == sorted(late)
    assert len(late) > 20
    assert both["is_fraud"].to_list() == [[0, 1]] * len(late)
