"""`ct features`: from files to a file, and the catalogue; checked against the engine and by what people would read."""

from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from ct_assets.cli.features import app
from feature_defs.card_fraud import task
from feature_defs.engine import files, offline, statements

NAMES = ["event_id", *task.feature_names]


def payments(rows=400, seed=1):
    random = np.random.default_rng(seed)
    start = pl.datetime(2018, 4, 1, time_unit="us", time_zone="UTC")
    return pl.DataFrame(
        {
            "transaction_id": np.arange(rows),
            "seconds": np.sort(random.integers(0, 80 * 24, rows)) * 3600,
            "customer_id": random.integers(0, 5, rows, dtype=np.int32),
            "terminal_id": random.integers(0, 3, rows, dtype=np.int32),
            "amount": random.integers(1, 9999, rows) / 100,
            "is_fraud": random.integers(0, 2, rows, dtype=np.int8),
        }
    ).select((start + pl.duration(seconds="seconds")).alias("tx_time"), pl.exclude("seconds"))


def expected(frame, labels=None, **more):
    events = frame.select(
        event_id="transaction_id",
        event_time="tx_time",
        available_at=more.pop("arrivals", "tx_time"),
        customer_id="customer_id",
        terminal_id="terminal_id",
        amount="amount",
    )
    labels = statements.from_rule(task, frame) if labels is None else labels
    return offline.compute(task, events, events, labels, **more)


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("CT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")
    return lambda *words: CliRunner().invoke(app, [str(word) for word in words])


def test_a_file_becomes_a_file_of_vectors_in_its_own_order(run, tmp_path):
    frame = payments()
    frame.write_parquet(tmp_path / "events.parquet")
    done = run("card_fraud", "--events", tmp_path / "events.parquet", "--out", tmp_path / "out.parquet")
    assert done.exit_code == 0, done.output
    made = pl.read_parquet(tmp_path / "out.parquet")
    assert made.columns == NAMES
    assert made.schema["customer_count_1d"] == pl.Int64
    assert made.schema["customer_amount_mean_1d"] == pl.Float64
    assert made.equals(expected(frame))
    shuffled = frame.sample(fraction=1, shuffle=True, seed=3)
    shuffled.write_parquet(tmp_path / "events.parquet")
    run("card_fraud", "--events", tmp_path / "events.parquet", "--out", tmp_path / "out.parquet")
    again = pl.read_parquet(tmp_path / "out.parquet")
    assert again["event_id"].equals(shuffled["transaction_id"].alias("event_id"))
    assert again.sort("event_id").equals(made)


@pytest.mark.parametrize("suffix", [".csv", ".ndjson"])
def test_other_formats_give_the_same_vectors(run, tmp_path, suffix):
    frame = payments(60).with_columns(pl.col("tx_time").dt.strftime("%Y-%m-%dT%H:%M:%SZ"))
    path = tmp_path / f"events{suffix}"
    frame.write_csv(path) if suffix == ".csv" else frame.write_ndjson(path)
    done = run("card_fraud", "--events", path, "--out", tmp_path / "out.parquet")
    assert done.exit_code == 0, done.output
    assert pl.read_parquet(tmp_path / "out.parquet").equals(expected(payments(60)))


@pytest.mark.parametrize("slice_rows", [1, 37, 399])
def test_slices_give_the_bytes_of_the_whole(tmp_path, slice_rows):
    frame = pl.concat([payments(), payments().tail(1)])
    frame.write_parquet(tmp_path / "events.parquet")
    rows = files.write(task, tmp_path / "events.parquet", tmp_path / "out.parquet", slice_rows=slice_rows, threads=2)
    assert rows == len(frame)
    assert pl.read_parquet(tmp_path / "out.parquet").equals(expected(frame))


def test_labels_of_their_own_file_count_from_their_arrival(run, tmp_path):
    frame = payments().drop("is_fraud")
    frame.write_parquet(tmp_path / "events.parquet")
    labels = pl.DataFrame(
        {
            "transaction_id": frame["transaction_id"],
            "is_fraud": pl.Series([1] * len(frame), dtype=pl.Int8),
            "available_at": frame["tx_time"] + timedelta(days=9),
        }
    )
    labels.write_parquet(tmp_path / "labels.parquet")
    files_given = ("--events", tmp_path / "events.parquet", "--labels", tmp_path / "labels.parquet")
    assert run("card_fraud", *files_given, "--out", tmp_path / "out.parquet").exit_code == 0
    stated = labels.select(
        event_id="transaction_id", label="is_fraud", kind=pl.lit("truth"), available_at="available_at"
    )
    made = pl.read_parquet(tmp_path / "out.parquet")
    assert made.equals(expected(frame, stated))
    assert (
        run("card_fraud", *files_given, "--out", tmp_path / "on_time.parquet", "--mode", "as_if_on_time").exit_code == 0
    )
    on_time = pl.read_parquet(tmp_path / "on_time.parquet")
    assert on_time.equals(expected(frame, stated, mode="as_if_on_time"))
    assert on_time["terminal_fraud_count_30d"].sum() > made["terminal_fraud_count_30d"].sum()


def test_what_had_not_arrived_is_left_out(run, tmp_path):
    late = payments().with_columns(available_at=pl.col("tx_time") + pl.duration(days=pl.col("transaction_id") % 2))
    late.write_parquet(tmp_path / "events.parquet")
    cut = late["tx_time"][200]
    done = run(
        "card_fraud",
        "--events",
        tmp_path / "events.parquet",
        "--out",
        tmp_path / "out.parquet",
        "--as-of",
        cut.strftime("%Y-%m-%dT%H:%M:%S"),
    )
    assert done.exit_code == 0, done.output
    arrived = late.filter(pl.col("available_at") <= cut)
    assert pl.read_parquet(tmp_path / "out.parquet").equals(expected(arrived, arrivals="available_at"))


FAULTS = {
    "no file": (None, "there is no such file"),
    "a missing column": (lambda frame: frame.drop("amount"), "no column amount; there is: tx_time"),
    "a null amount": (
        lambda frame: frame.with_columns(amount=pl.when(pl.col("transaction_id") != 7).then("amount")),
        "row 8: amount is null",
    ),
    "text for money": (lambda frame: frame.with_columns(amount=pl.lit("much")), "amount is String, not a number"),
    "a number for a time": (lambda frame: frame.with_columns(tx_time=pl.lit(5)), "tx_time is Int32, not a date"),
    "no rows": (lambda frame: frame.head(0), "no rows"),
    "a key that does not fit": (lambda frame: frame.with_columns(customer_id=pl.lit(2**40)), "it cannot be read"),
    "labels that are none": (lambda frame: frame.with_columns(is_fraud=pl.lit(3)), "neither 0 nor 1"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_file_that_does_not_fit_is_named_with_what_is_wrong(run, tmp_path, fault):
    spoil, message = FAULTS[fault]
    if spoil is not None:
        spoil(payments(20)).write_parquet(tmp_path / "events.parquet")
    done = run("card_fraud", "--events", tmp_path / "events.parquet", "--out", tmp_path / "out.parquet")
    assert done.exit_code == 1
    assert "events.parquet" in done.output
    assert message in " ".join(done.output.split())
    assert not list(tmp_path.glob("out*"))


def test_a_truncated_file_is_an_error(run, tmp_path):
    payments().write_parquet(tmp_path / "whole.parquet")
    (tmp_path / "events.parquet").write_bytes((tmp_path / "whole.parquet").read_bytes()[:900])
    done = run("card_fraud", "--events", tmp_path / "events.parquet", "--out", tmp_path / "out.parquet")
    assert done.exit_code == 1
    assert "cannot be read" in " ".join(done.output.split())


def test_the_catalogue_says_what_each_feature_means(run):
    shown = run("show", "card_fraud").output
    assert task.feature_hash in shown
    for name in task.feature_names:
        assert name in shown
    assert "number of" in shown


def test_a_difference_to_an_earlier_set_is_shown(run, tmp_path):
    assert run("show", "card_fraud").exit_code == 0
    assert "same columns" in run("show", "card_fraud", "--against", task.feature_hash).output
    unknown = run("show", "card_fraud", "--against", "0123456789abcdef")
    assert unknown.exit_code == 1
    assert task.feature_hash in unknown.output
    older = tmp_path / "home" / "features" / "aaaa.json"
    older.write_text(task.canonical.replace("customer_count_1d", "customer_count_2d"))
    told = run("show", "card_fraud", "--against", "aaaa").output
    assert "+ customer_count_1d" in told
    assert "- customer_count_2d" in told


def test_an_unknown_task_lists_those_there_are(run):
    done = run("show", "card_frod")
    assert done.exit_code == 1
    assert "card_fraud" in done.output
