"""Files in three formats: the same rows whichever the format, and an error that says what to do when there are none."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from ct_assets.lake import files, sources
from ct_assets.lake.contracts import StreamName
from ct_assets.lake.errors import ContractBroken
from feature_defs.card_fraud import task
from feature_defs.engine import statements
from feature_defs.stream import Label, Stream
from feature_defs.task import Task

WRITERS = {"parquet": pl.DataFrame.write_parquet, "csv": pl.DataFrame.write_csv, "jsonl": pl.DataFrame.write_ndjson}


def _written(frame: pl.DataFrame, path: Path) -> Path:
    WRITERS[path.suffix[1:]](frame, path)
    return path


def _read(path: Path, stream: StreamName = "events", of: Task = task) -> pl.DataFrame:
    return pl.concat(sources.canonical(of, stream, batch, path.name) for batch in files.read(of, path, stream))


def _in_zone(zone: str) -> Task:
    local = Stream("payments", key="transaction_id", time="tx_time", columns=task.events.columns, time_zone=zone)
    fraud = Label("fraud", of=local, column="is_fraud", horizon="7d")
    rest = {"learner": task.learner, "policy": task.policy, "gates": task.gates}
    return Task("local", "", local, fraud, (), **rest)  # type: ignore[arg-type]


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
@pytest.mark.parametrize("stream", ["events", "labels"])
def test_text_formats_read_like_parquet(
    tmp_path: Path, payments: Callable[..., pl.DataFrame], suffix: str, stream: StreamName
) -> None:
    frame = payments(300)
    typed = _read(_written(frame, tmp_path / "a.parquet"), stream)
    assert_frame_equal(_read(_written(frame, tmp_path / f"a.{suffix}"), stream), typed)


def test_batches_are_bounded_and_number_the_rows_of_the_whole_file(
    tmp_path: Path, payments: Callable[..., pl.DataFrame]
) -> None:
    rows = 2 * sources.BATCH_ROWS + 5
    for suffix in WRITERS:
        batches = list(files.read(task, _written(payments(rows), tmp_path / f"many.{suffix}")))
        assert max(len(batch.frame) for batch in batches) <= sources.BATCH_ROWS
        offsets = [position for batch in batches for position in batch.positions]
        assert offsets == list(range(rows))


def test_labels_of_a_history_are_what_the_engine_says_they_are(
    tmp_path: Path, payments: Callable[..., pl.DataFrame]
) -> None:
    frame = payments(200).with_columns(is_fraud=pl.when(pl.col("transaction_id") % 3 > 0).then("is_fraud"))
    found = _read(_written(frame, tmp_path / "history.parquet"), "labels")
    expected = statements.from_rule(task, frame)
    assert_frame_equal(found.select(expected.columns), expected)
    late = frame.with_columns(label_time=pl.col("tx_time") + timedelta(days=30))
    found = _read(_written(late, tmp_path / "late.parquet"), "labels")
    assert_frame_equal(found.select(expected.columns), statements.from_rule(task, late))


def test_naive_times_are_local_to_the_declared_zone(tmp_path: Path) -> None:
    paris = _in_zone("Europe/Paris")
    columns = "transaction_id,customer_id,terminal_id,amount,tx_time\n"
    times = [
        "2018-07-01 12:00:00",
        "2018-07-01T12:00:00+05:00",
        "2018-07-01T12:00:00Z",
        "2018-10-28 02:30",
        "2018-03-25 02:30",
    ]
    path = tmp_path / "local.csv"
    path.write_text(columns + "".join(f"{number},1,1,1.0,{time}\n" for number, time in enumerate(times)))
    day = datetime(2018, 7, 1, tzinfo=UTC)
    first_of_two = datetime(2018, 10, 28, 0, 30, tzinfo=UTC)
    expected = [day + timedelta(hours=10), day + timedelta(hours=7), day + timedelta(hours=12), first_of_two, None]
    assert _read(path, of=paris)["event_time"].to_list() == expected


def test_an_unknown_time_zone_is_named(tmp_path: Path, payments: Callable[..., pl.DataFrame]) -> None:
    path = _written(payments(3), tmp_path / "a.parquet")
    with pytest.raises(ContractBroken, match=r'a.parquet: unknown time zone "Europe/Pariss" of stream payments'):
        _read(path, of=_in_zone("Europe/Pariss"))


def test_every_problem_with_the_columns_is_named_at_once(tmp_path: Path, payments: Callable[..., pl.DataFrame]) -> None:
    frame = payments(3).rename({"customer_id": "custmer_id"}).with_columns(pl.col("amount").cast(pl.String))
    with pytest.raises(ContractBroken) as broken:
        _read(_written(frame.with_columns(tx_time=pl.lit(1_522_540_800)), tmp_path / "a.parquet"))
    first, second, third = broken.value.problems
    assert first.startswith("column tx_time is Int32, the contract wants a timestamp")
    assert second.startswith('column customer_id is missing (is it "custmer_id"?); found transaction_id, tx_time,')
    assert third == "column amount is String, the contract wants a number"


def test_labels_need_to_say_when_they_were_known(tmp_path: Path) -> None:
    path = _written(pl.DataFrame({"transaction_id": [1], "is_fraud": [1]}), tmp_path / "labels.csv")
    with pytest.raises(ContractBroken, match="column label_time is missing"):
        _read(path, "labels")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.parquet", b"", "the file is empty"),
        ("a.csv", b"transaction_id,tx_time\n", "the file has no rows"),
        ("a.csv", b"a,a\n1,2\n", r"columns \['a'\] are named twice"),
        ("a.jsonl", b"\n\n", "the file has no rows"),
        ("a.xlsx", b"PK", 'no reader for ".xlsx" files; deliver .parquet, .csv'),
        ("a.parquet", b"PAR1 something else", "it cannot be read as Parquet"),
        ("a.jsonl", b"not json\nat all\n", "found no columns"),
    ],
)
def test_a_file_without_rows_to_read_is_an_error_that_names_it(
    tmp_path: Path, name: str, content: bytes, says: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ContractBroken, match=f"^{name}: .*{says}"):
        _read(tmp_path / name)


def test_a_missing_file_is_named() -> None:
    with pytest.raises(ContractBroken, match=r"gone.csv: there is no such file"):
        list(files.read(task, Path("gone.csv")))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_truncated_parquet_file_is_an_error(
    tmp_path: Path, payments: Callable[..., pl.DataFrame], share: float
) -> None:
    path = _written(payments(5_000), tmp_path / "cut.parquet")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(ContractBroken, match="cut short in a copy, copy and deliver it again"):
        _read(path)


def test_a_changed_file_is_another_source(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("one")
    first = files.source(path)
    assert files.source(path) == first
    path.write_text("two")
    assert files.source(path) != first
