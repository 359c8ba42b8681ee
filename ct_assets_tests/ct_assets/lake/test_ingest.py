"""Deliveries: whatever is offered is stored, quarantined or a duplicate, and nothing is lost or doubled."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from ct_assets.lake import delivery, files, ingest, sources
from ct_assets.lake.delivery import Delivery
from ct_assets.lake.errors import ContractBroken
from ct_assets.lake.lake import Lake
from ct_assets.lake.sources import Batch
from feature_defs.card_fraud import task
from feature_defs.columns import Flag, Money, Text
from feature_defs.stream import Label, Stream
from feature_defs.task import Task

START = datetime(2018, 4, 1, tzinfo=UTC)
Payments = Callable[..., pl.DataFrame]


def _deliver(lake: Lake, stream: Any, frame: pl.DataFrame, source: str = "history") -> Delivery:
    return ingest.deliver(lake, stream, frame, source, run_id="test")


def _batches(frame: pl.DataFrame, size: int) -> list[Batch]:
    return [Batch(frame[first : first + size], first) for first in range(0, len(frame), size)]


def _adds_up(lake: Lake, stream: str) -> Delivery:
    """The account of everything, checked against the tables themselves."""
    account = delivery.total(lake, stream)
    assert account.stored == lake.read(stream).select(pl.len()).collect().item()
    refused = lake.read("quarantine", where=pl.col("stream") == stream).collect()
    assert account.quarantined == len(refused)
    assert not refused.select("source", "offset").is_duplicated().any()
    key = ["event_id"] if stream == "events" else ["event_id", "kind", "available_at"]
    assert not lake.read(stream, columns=key).collect().is_duplicated().any()
    return account


def test_a_history_becomes_events_and_labels(lake: Lake, payments: Payments) -> None:
    frame = payments(500)
    assert _deliver(lake, "events", frame) == Delivery(500, stored=500)
    assert _deliver(lake, "labels", frame) == Delivery(500, stored=500)
    events = lake.read("events").sort("event_id").collect()
    assert events["event_time"].equals(frame["tx_time"].alias("event_time"))
    assert events["available_at"].equals(frame["tx_time"].alias("available_at"))
    assert events["amount"].equals(frame["amount"])
    assert events["event_date"].equals(frame["tx_time"].dt.date().alias("event_date"))
    labels = lake.read("labels").sort("event_id").collect()
    assert labels["label"].equals(frame["is_fraud"].alias("label"))
    assert (labels["available_at"] - events["event_time"]).unique().to_list() == [timedelta(days=7)]


def test_amounts_are_rounded_once_half_even(lake: Lake, payments: Payments) -> None:
    frame = payments(3).with_columns(amount=pl.Series([0.125, 2.675, 1.006]))
    _deliver(lake, "events", frame)
    assert lake.read("events").sort("event_id").collect()["amount"].to_list() == [0.12, 2.68, 1.01]


def test_the_same_delivery_again_changes_nothing(lake: Lake, payments: Payments) -> None:
    frame = payments(300)
    _deliver(lake, "events", frame)
    before = lake.version("events")
    assert _deliver(lake, "events", frame) == Delivery(300, duplicates=300)
    assert _deliver(lake, "events", frame, "the same rows by another way") == Delivery(300, duplicates=300)
    assert lake.version("events") == before
    assert _adds_up(lake, "events").offered == 600


def test_a_known_key_with_other_content_goes_to_quarantine(lake: Lake, payments: Payments) -> None:
    frame = payments(10)
    changed = frame[:4].with_columns(amount=pl.col("amount") + 1)
    account = _deliver(lake, "events", pl.concat([frame, frame[5:7], changed]))
    assert account == Delivery(16, stored=10, quarantined=4, duplicates=2, reasons={"conflicting_duplicate": 4})
    assert _deliver(lake, "events", changed, "another source").reasons == {"conflicting_duplicate": 4}
    assert lake.read("events").sort("event_id").collect()["amount"].equals(frame["amount"])
    _adds_up(lake, "events")


def test_a_label_speaks_about_an_event_that_came_before_it(lake: Lake) -> None:
    known = pl.DataFrame(
        {
            "event_id": [1, 2],
            "event_time": [START, START],
            "available_at": [START, START + timedelta(days=9)],
            "customer_id": [1, 1],
            "terminal_id": [1, 1],
            "amount": [1.0, 1.0],
        }
    )
    _deliver(lake, "events", known)
    when = [START, START + timedelta(microseconds=1), START + timedelta(days=9), START + timedelta(days=10), START]
    said = pl.DataFrame({"event_id": [1, 1, 2, 2, 3], "label": [1] * 5, "available_at": when})
    account = _deliver(lake, "labels", said)
    assert account == Delivery(5, stored=2, quarantined=3, reasons={"unknown_event": 3})
    assert lake.read("quarantine").collect()["offset"].sort().to_list() == [0, 2, 4]


def test_a_correction_is_a_new_row_and_a_contradiction_is_not(lake: Lake, payments: Payments) -> None:
    _deliver(lake, "events", payments(1))
    later = [START + timedelta(days=day) for day in (100, 101, 101, 101)]
    said = pl.DataFrame({"event_id": [0] * 4, "label": [1, 0, 0, 1], "available_at": later})
    account = _deliver(lake, "labels", said)
    assert account == Delivery(4, stored=2, quarantined=1, duplicates=1, reasons={"conflicting_duplicate": 1})


def test_refused_rows_keep_their_content_under_the_names_of_the_source(lake: Lake, payments: Payments) -> None:
    frame = payments(3).with_columns(amount=pl.Series([1.0, float("nan"), -5.0]))
    ingest.deliver(lake, "events", frame, "history", run_id="r", as_of=START)
    refused = lake.read("quarantine").sort("offset").collect()
    assert refused["rules"].to_list() == [["amount.readable"], ["amount.between"]]
    assert refused["event_id"].to_list() == ["1", "2"]
    assert refused["refused_at"].to_list() == [START, START]
    raw = json.loads(refused["raw"][0])
    assert (raw["transaction_id"], raw["amount"]) == (1, "nan")
    repaired = pl.DataFrame([json.loads(refused["raw"][1]) | {"amount": 5.0}])
    repaired = repaired.with_columns(pl.col("tx_time").str.to_datetime(time_unit="us", time_zone="UTC"))
    assert _deliver(lake, "events", repaired, "repaired") == Delivery(1, stored=1)


def test_a_broken_contract_takes_nothing(lake: Lake, payments: Payments) -> None:
    with pytest.raises(ContractBroken, match="history: column amount is missing"):
        _deliver(lake, "events", payments(5).drop("amount"))
    with pytest.raises(ContractBroken, match="history: there are no rows"):
        _deliver(lake, "events", payments(5).clear())
    assert lake.version("events") == -1
    assert delivery.total(lake, "events") == Delivery()


def test_batches_before_a_broken_one_stay_and_are_not_doubled(lake: Lake, payments: Payments) -> None:
    frame = payments(30)
    first, second, third = _batches(frame, 10)
    broken = Batch(second.frame.with_columns(pl.col("amount").cast(pl.String)), second.first)
    with pytest.raises(ContractBroken, match="column amount is String"):
        ingest.deliver(lake, "events", [first, broken, third], "history", run_id="test")
    account = ingest.deliver(lake, "events", [first, second, third], "history", run_id="test")
    assert account == Delivery(30, stored=20, duplicates=10)
    assert _adds_up(lake, "events") == Delivery(30, stored=30)


@pytest.mark.parametrize("size", [1, 4, 64])
def test_a_source_may_come_in_other_batches_the_second_time(lake: Lake, payments: Payments, size: int) -> None:
    frame = payments(40).with_columns(amount=pl.when(pl.col("transaction_id") % 5 > 0).then("amount"))
    ingest.deliver(lake, "events", _batches(frame[:24], 8), "history", run_id="test")
    ingest.deliver(lake, "events", _batches(frame, size), "history", run_id="test")
    assert _adds_up(lake, "events") == Delivery(40, stored=32, quarantined=8, reasons={"amount.not_null": 8})


def test_two_ingesters_of_one_source_and_two_of_overlapping_ones_agree(lake: Lake, payments: Payments) -> None:
    frame = payments(120).with_columns(amount=pl.when(pl.col("transaction_id") % 10 > 0).then("amount"))

    def work(source: str) -> None:
        ingest.deliver(lake, "events", _batches(frame, 15), source, run_id="test")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, ["a", "a", "b", "b"]))
    account = _adds_up(lake, "events")
    assert account == Delivery(240, stored=108, quarantined=24, duplicates=108, reasons={"amount.not_null": 24})


texts = st.none() | st.sampled_from(
    [
        "",
        "1",
        "2",
        "-3",
        "4.0",
        "0.5",
        "1e400",
        "NaN",
        "é\u0000",
        '"',
        ",",
        "2018-04-01 10:00",
        "2018-04-01T10:00:00Z",
        "9999-99-99",
    ]
)
lines = st.lists(
    st.one_of(
        st.fixed_dictionaries(
            {
                "transaction_id": texts,
                "tx_time": texts | st.just("2018-04-02 11:30:00"),
                "customer_id": texts,
                "terminal_id": texts,
                "amount": texts,
                "is_fraud": texts,
            }
        ),
        st.binary(min_size=1, max_size=30).map(lambda text: text.replace(b"\n", b"").replace(b"\r", b"") or b"?"),
    ),
    max_size=25,
)
GOOD = {
    "transaction_id": 900,
    "tx_time": "2018-04-01 00:00:00",
    "customer_id": 1,
    "terminal_id": 1,
    "amount": 1.5,
    "is_fraud": 0,
}


@settings(max_examples=25, deadline=None)
@given(lines, st.sampled_from(["csv", "jsonl"]))
def test_malformed_lines_never_stop_a_delivery_and_are_never_lost(lines: list[Any], suffix: str) -> None:
    """One good row leads, so that there is a contract to keep; every other line may be anything."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"lines.{suffix}"
        if suffix == "csv":
            texts = [
                ",".join(_quoted(value) for value in _values(line)) if isinstance(line, dict) else line
                for line in lines
            ]
            head = [",".join(GOOD), ",".join(str(value) for value in GOOD.values())]
            path.write_bytes(b"\n".join(text.encode() if isinstance(text, str) else text for text in [*head, *texts]))
        else:
            path.write_bytes(
                b"\n".join(json.dumps(line).encode() if isinstance(line, dict) else line for line in [GOOD, *lines])
            )
        lake = Lake(Path(folder) / "lake", task)
        read = list(files.read(task, path))
        account = ingest.deliver(lake, "events", read, "lines", run_id="test")
        assert account.offered == sum(len(batch.frame) for batch in read) <= len(lines) + 1
        if suffix == "jsonl":
            assert account.offered == 1 + sum(1 for line in lines if isinstance(line, dict) or line.strip())
        assert account == _adds_up(lake, "events")
        stored = lake.read("events").collect()
        assert 900 in stored["event_id"]
        assert stored.drop("source", "offset").null_count().sum_horizontal().item() == 0
        if account.quarantined:
            refused = lake.read("quarantine").collect()
            assert refused["rules"].list.len().min() > 0
            assert refused["raw"].null_count() == 0


def _values(line: dict[str, Any]) -> list[str]:
    return [value or "" for value in line.values()]


def _quoted(value: str) -> str:
    doubled = value.replace('"', '""')
    return f'"{doubled}"' if set(value) & {'"', ","} else value


rows = st.lists(st.tuples(st.integers(0, 6), st.sampled_from([1.0, 2.0, None])), min_size=1, max_size=20)


@settings(max_examples=20, deadline=None)
@given(rows, rows, st.integers(1, 7))
def test_deliveries_are_what_a_dictionary_says_they_are(first: list[Any], second: list[Any], size: int) -> None:
    """An independent account: a dictionary of keys, filled row by row."""
    known: dict[int, float] = {}
    expected = []
    for source in (first, second):
        counts = {"stored": 0, "quarantined": 0, "duplicates": 0}
        for key, amount in source:
            if amount is None or known.get(key, amount) != amount:
                counts["quarantined"] += 1
            else:
                counts["duplicates" if key in known else "stored"] += 1
                known[key] = amount
        expected.append((len(source), *counts.values()))
    with TemporaryDirectory() as folder:
        lake = Lake(Path(folder), task)
        for source, (name, account) in zip((first, second), zip("ab", expected, strict=True), strict=True):
            frame = pl.DataFrame(
                {
                    "transaction_id": [key for key, _ in source],
                    "tx_time": [START] * len(source),
                    "customer_id": [1] * len(source),
                    "terminal_id": [1] * len(source),
                    "amount": pl.Series([amount for _, amount in source], dtype=pl.Float64),
                }
            )
            found = ingest.deliver(lake, "events", _batches(frame, size), name, run_id="test")
            assert (found.offered, found.stored, found.quarantined, found.duplicates) == account
        stored = lake.read("events", columns=["event_id", "amount"]).collect()
        assert dict(stored.iter_rows()) == known
        _adds_up(lake, "events")


def test_an_account_that_does_not_add_up_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="does not add up"):
        Delivery(3, stored=1, duplicates=1)


def test_a_frame_larger_than_a_batch_is_taken_in_pieces(lake: Lake, payments: Payments) -> None:
    frame = payments(sources.BATCH_ROWS + 10)
    assert _deliver(lake, "events", frame) == Delivery(len(frame), stored=len(frame))
    pieces = lake.read("deliveries").sort("from_offset").collect()
    assert pieces["from_offset"].to_list() == [0, sources.BATCH_ROWS]
    assert pieces["to_offset"].to_list() == [sources.BATCH_ROWS - 1, sources.BATCH_ROWS + 9]


def test_the_real_payments_arrive_whole(lake: Lake, card_file: Path) -> None:
    whole = pl.read_parquet(card_file)
    for stream in ("events", "labels"):
        account = ingest.deliver(lake, stream, files.read(task, card_file, stream), "cards", run_id="test")
        assert account == Delivery(len(whole), stored=len(whole))
    stored = lake.read("events").sort("event_id").collect()
    given = whole.sort("transaction_id")
    assert_frame_equal(
        stored.select("event_id", "event_time", "customer_id", "terminal_id", "amount"),
        given.select(
            event_id="transaction_id",
            event_time="tx_time",
            customer_id="customer_id",
            terminal_id="terminal_id",
            amount="amount",
        ),
    )
    assert lake.read("labels").select(pl.col("label").sum()).collect().item() == whole["is_fraud"].cast(pl.Int64).sum()


def test_a_task_with_text_keys_and_optional_columns_comes_in_by_the_same_path(tmp_path: Path) -> None:
    visits = Stream(
        "visits",
        key="visit",
        time="at",
        columns={"page": Text(), "bought": Flag(nullable=True), "paid": Money(nullable=True)},
        key_type=Text(),
    )
    label = Label("churn", of=visits, column="churned", horizon="1d")
    other = Task("visits", "", visits, label, (), learner=task.learner, policy=task.policy, gates=task.gates)
    path = tmp_path / "visits.jsonl"
    rows = [
        {"visit": "ä-1", "at": "2018-04-01T10:00:00Z", "page": "home", "bought": True, "paid": 1.005, "churned": 1},
        {"visit": "b-2", "at": "2018-04-01T11:00:00Z", "page": "", "churned": 0},
        {"visit": "b-2", "at": "2018-04-01T11:00:00Z", "page": "", "bought": None, "churned": 0},
        {"visit": "c-3", "at": "2018-04-01T12:00:00Z", "page": 7, "bought": "yes", "paid": "1.00"},
    ]
    path.write_text("\n".join(json.dumps(row) for row in rows))
    lake = Lake(tmp_path / "lake", other)
    for _ in range(2):
        ingest.deliver(lake, "events", files.read(other, path), "visits", run_id="test")
        ingest.deliver(lake, "labels", files.read(other, path, "labels"), "visits", run_id="test")
    events = lake.read("events").sort("event_id").collect()
    assert events.select("event_id", "page", "bought", "paid").rows() == [
        ("b-2", "", None, None),
        ("ä-1", "home", True, 1.0),
    ]
    reasons = {"page.readable": 1, "bought.readable": 1, "paid.readable": 1}
    assert _adds_up(lake, "events") == Delivery(4, stored=2, quarantined=1, duplicates=1, reasons=reasons)
    assert _adds_up(lake, "labels") == Delivery(3, stored=2, duplicates=1)


def test_the_account_can_be_had_of_a_source_or_of_a_run(lake: Lake, payments: Payments) -> None:
    frame = payments(30)
    ingest.deliver(lake, "events", frame[:20], "a", run_id="first")
    ingest.deliver(lake, "events", frame[10:], "b", run_id="second")
    assert delivery.total(lake, "events", "a") == delivery.total(lake, "events", run_id="first") == Delivery(20, 20)
    assert delivery.total(lake, "events", run_id="second") == Delivery(20, stored=10, duplicates=10)
    assert delivery.total(lake, "events") == Delivery(40, stored=30, duplicates=10)
