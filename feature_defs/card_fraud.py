"""Card fraud: score each payment as it happens; the truth is a chargeback, up to a week later."""

import polars as pl

from feature_defs.aggregation import count, mean
from feature_defs.columns import Int32, Money
from feature_defs.entity import Entity
from feature_defs.feature import Row, Window
from feature_defs.learner import BoostedTrees
from feature_defs.policy import Gates, Policy
from feature_defs.stream import Label, Stream
from feature_defs.task import Task

payments = Stream(
    "payments",
    key="transaction_id",
    time="tx_time",
    columns={"customer_id": Int32(min=0), "terminal_id": Int32(min=0), "amount": Money(min=0, max=1_000_000)},
)
fraud = Label("fraud", of=payments, column="is_fraud", horizon="7d")

customer = Entity("customer", key="customer_id")
terminal = Entity("terminal", key="terminal_id")

# Night ends at 6 and the weekend is Saturday and Sunday, as in the Fraud Detection Handbook.
features = (
    Row("is_weekend", pl.col("tx_time").dt.weekday() >= 6),
    Row("is_night", pl.col("tx_time").dt.hour() <= 6),
    Row("amount", pl.col("amount")),
    Window(customer, payments, [count(), mean("amount")], over=["1d", "7d", "30d"]),
    Window(terminal, fraud, [count(), mean()], over=["1d", "7d", "30d"], delay="7d"),
)

task = Task(
    "card_fraud",
    "Score each card payment for fraud as it happens.",
    events=payments,
    label=fraud,
    features=features,
    # Chosen on the weeks before the benchmark's: docs/decisions/learner-parameters.md.
    learner=BoostedTrees(parallel_trees=2, subsample=0.8),
    policy=Policy(window="28d", holdout="7d", cadence="7d", volume=10_000),
    gates=Gates(margin=0.02, cluster=(customer, terminal)),
)
