"""The rule table, judged three ways: the Polars split, Great Expectations, and a loop over rows in plain Python."""

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ct_assets.lake import contracts, expectations, sources
from ct_assets.lake.contracts import EARLIEST, LATEST, StreamName
from ct_assets.lake.sources import Batch
from feature_defs.card_fraud import task
from feature_defs.columns import Flag, Int64, Real, Text
from feature_defs.stream import Label, Stream
from feature_defs.task import Task

START = datetime(2018, 4, 1, tzinfo=UTC)

instants = st.none() | st.sampled_from([EARLIEST - timedelta(1), LATEST + timedelta(1), START, START + timedelta(3)])
amounts = st.none() | st.sampled_from([math.nan, math.inf, -0.01, 0.0, 12.34, 1e6, 1e6 + 0.01, 1e300])
whole = st.none() | st.sampled_from([0.0, 1.0, 2.5, -1.0, 2.0**31, math.nan])
events = st.fixed_dictionaries(
    {
        "transaction_id": st.none() | st.integers(0, 3),
        "tx_time": instants,
        "available_at": instants,
        "customer_id": whole,
        "terminal_id": st.just(1.0),
        "amount": amounts,
    }
)
EVENT_TYPES = {
    "transaction_id": pl.Int64,
    "tx_time": pl.Datetime("us", "UTC"),
    "available_at": pl.Datetime("us", "UTC"),
    "customer_id": pl.Float64,
    "terminal_id": pl.Float64,
    "amount": pl.Float64,
}
LABEL_TYPES = {
    "transaction_id": pl.Int64,
    "label": pl.Float64,
    "kind": pl.String,
    "available_at": EVENT_TYPES["tx_time"],
}
labels = st.fixed_dictionaries(
    {
        "transaction_id": st.none() | st.integers(0, 3),
        "label": st.none() | st.sampled_from([0.0, 1.0, 2.0, 0.5]),
        "kind": st.none() | st.sampled_from(["truth", "proxy", "guess"]),
        "available_at": instants,
    }
)


def _canonical(stream: StreamName, rows: list[dict[str, Any]]) -> pl.DataFrame:
    types = EVENT_TYPES if stream == "events" else LABEL_TYPES
    return sources.canonical(task, stream, Batch(pl.DataFrame(rows, schema=types)), "a frame")


def _acceptable(row: dict[str, Any]) -> bool:
    """The contract of card payments, said again."""

    def key(value: float | None) -> bool:
        return value is not None and value == value and value == int(value) and 0 <= value < 2**31

    def instant(value: datetime | None) -> bool:
        return value is not None and EARLIEST <= value <= LATEST

    amount = row["amount"]
    return (
        row["transaction_id"] is not None
        and instant(row["tx_time"])
        and instant(row["available_at"])
        and row["available_at"] >= row["tx_time"]
        and key(row["customer_id"])
        and amount is not None
        and 0 <= amount <= 1_000_000
    )


@given(st.lists(events, min_size=1, max_size=30))
def test_the_split_refuses_exactly_what_breaks_the_contract(rows: list[dict[str, Any]]) -> None:
    good, refused = contracts.split(contracts.rules(task, "events"), _canonical("events", rows))
    assert good["offset"].to_list() == [number for number, row in enumerate(rows) if _acceptable(row)]
    assert sorted([*good["offset"], *refused["offset"]]) == list(range(len(rows)))
    assert refused["rules"].list.len().min() in (None, *range(1, 30)), "every refused row says why"


@pytest.mark.parametrize(("stream", "row"), [("events", events), ("labels", labels)])
def test_great_expectations_and_the_split_agree_row_for_row(stream: StreamName, row: st.SearchStrategy) -> None:
    verdicts = []

    # Each example starts a suite, which takes a second: few and large ones find more than many small ones.
    @settings(max_examples=3, deadline=None, database=None)
    @given(st.lists(row, min_size=150, max_size=200))
    def agree(rows: list[dict[str, Any]]) -> None:
        frame = _canonical(stream, rows)
        verdict = expectations.validate(task, stream, frame)
        assert not verdict.errors
        for rule in contracts.rules(task, stream):
            broken = frame.select(rule.broken.arg_true()).to_series().to_list()
            assert verdict.failed.get(rule.id, []) == broken, rule.id
            assert verdict.counts.get(rule.id, 0) == len(broken), rule.id
        verdicts.append(verdict)

    agree()
    assert any(verdict.failed for verdict in verdicts)


def test_rows_that_keep_the_contract_pass_and_leave_data_docs(tmp_path: Path, payments: Any) -> None:
    frame = sources.canonical(task, "events", Batch(payments(500)), "a frame")
    verdict = expectations.validate(task, "events", frame, docs=tmp_path / "docs")
    assert verdict.passed
    assert verdict.severity is None
    assert verdict.docs is not None
    assert verdict.docs.read_text().startswith("<!DOCTYPE html>")
    assert list((tmp_path / "docs" / "validations").rglob("*.html"))


def test_a_copied_key_is_a_warning_and_an_empty_frame_or_a_missing_column_is_not_a_pass(payments: Any) -> None:
    frame = sources.canonical(task, "events", Batch(payments(20)), "a frame")
    copied = expectations.validate(task, "events", pl.concat([frame, frame[:1]]))
    assert (copied.passed, copied.severity) == (True, "warning")
    assert copied.failed == {"event_id.unique": [0, 20]}
    assert not expectations.validate(task, "events", frame.clear()).passed
    lacking = expectations.validate(task, "events", frame.drop("amount"))
    assert not lacking.passed
    assert "amount.between" in lacking.errors


def test_a_value_that_cannot_be_read_is_one_reason_and_not_three() -> None:
    row = {"transaction_id": "7", "tx_time": "soon", "customer_id": "1", "terminal_id": "1.5", "amount": "NaN"}
    frame = sources.canonical(task, "events", Batch(pl.DataFrame([row]), text=True), "a file")
    _, refused = contracts.split(contracts.rules(task, "events"), frame)
    assert refused["rules"][0].to_list() == ["event_time.readable", "terminal_id.readable", "amount.readable"]


def test_every_type_of_column_reads_what_it_can_hold() -> None:
    columns = {
        "big": Int64(nullable=True),
        "name": Text(nullable=True),
        "on": Flag(nullable=True),
        "size": Real(nullable=True, min=-5),
    }
    stream = Stream("visits", key="id", time="at", columns=columns, key_type=Text())
    label = Label("churn", of=stream, column="churned", horizon="1d")
    other = Task("visits", "", stream, label, (), learner=task.learner, policy=task.policy, gates=task.gates)
    texts = pl.DataFrame(
        {
            "id": ["a", "b", "c", "d"],
            "at": ["2018-04-01"] * 4,
            "big": ["9007199254740993", "-9223372036854775808", "12.0", None],
            "name": ["x", "", None, "y"],
            "on": ["TRUE", "0", "yes", None],
            "size": ["-0.0", "inf", "-6", None],
        }
    )
    frame = sources.canonical(other, "events", Batch(texts, text=True), "a file")
    assert frame["big"].to_list() == [9007199254740993, None, 12, None]
    assert frame["on"].to_list() == [True, False, None, None]
    assert math.copysign(1, frame["size"][0]) == 1
    good, refused = contracts.split(contracts.rules(other, "events"), frame)
    assert good["event_id"].to_list() == ["a", "d"]
    assert refused["rules"].to_list() == [["big.readable", "size.readable"], ["on.readable", "size.between"]]
