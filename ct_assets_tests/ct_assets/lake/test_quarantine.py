"""Why a row was refused, in words that name where it came from and what was broken."""

from collections.abc import Callable

import polars as pl
import pytest

from ct_assets.lake import ingest, quarantine
from ct_assets.lake.lake import Lake


@pytest.fixture
def refused(lake: Lake, payments: Callable[..., pl.DataFrame]) -> Lake:
    frame = payments(1_300).with_columns(
        amount=pl.when(pl.col("transaction_id") != 1203).then("amount"),
        customer_id=pl.when(pl.col("transaction_id") < 1290).then("customer_id").otherwise(-1),
    )
    for stream in ("events", "labels"):
        ingest.deliver(lake, stream, frame, "payments.csv", run_id="test")  # type: ignore[arg-type]
    return lake


def test_a_refused_row_names_its_source_row_and_rule(refused: Lake) -> None:
    sentences = quarantine.explained(refused, limit=2)
    assert sentences[0] == ("payments.csv row 1,204: broken: amount is not null; event_id 1203; row kept in quarantine")
    assert "broken: 0 <= customer_id" in sentences[1]


def test_rules_are_counted_most_frequent_first(refused: Lake) -> None:
    counts = quarantine.by_rule(refused)
    assert counts.select("stream", "rule", "rows").rows() == [
        ("labels", "unknown_event", 11),
        ("events", "customer_id.between", 10),
        ("events", "amount.not_null", 1),
    ]
    assert counts["says"][0] == "the event is in the lake, and arrived before anything is said about it"


def test_rows_can_be_had_by_stream_and_source(refused: Lake) -> None:
    assert quarantine.rows(refused, "events").collect().height == 11
    assert quarantine.rows(refused, source="elsewhere").collect().is_empty()
    assert quarantine.meaning(refused, "events", "a rule of last year") == "a rule of last year"
