"""The demo's input: cut at an instant, nothing lost, nothing known too early."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from ct_assets.cli.demo.scene import Scene, SceneError, by_month, from_file, simulated
from feature_defs import catalogue

TASK = catalogue.load("card_fraud")


@pytest.fixture(scope="module")
def scene() -> Scene:
    return simulated(TASK, 7, 3)


def _payments(days: int, per_day: int) -> pl.DataFrame:
    start = datetime(2024, 1, 1, tzinfo=UTC)
    step = timedelta(days=1) / per_day
    size = days * per_day
    return pl.DataFrame(
        {
            "transaction_id": range(size),
            "tx_time": [start + index * step for index in range(size)],
            "customer_id": [index % 50 for index in range(size)],
            "terminal_id": [index % 40 for index in range(size)],
            "amount": [float(index % 90 + 1) for index in range(size)],
            "is_fraud": [int(index % 60 == 0) for index in range(size)],
        }
    )


def test_history_and_traffic_meet_at_now(scene: Scene) -> None:
    assert scene.ends - scene.now == timedelta(days=7)
    assert scene.history["tx_time"].max() < scene.now  # type: ignore[operator]
    assert scene.told["label_time"].max() < scene.now  # type: ignore[operator]
    assert scene.telling["label_time"].min() >= scene.now  # type: ignore[operator]
    assert scene.telling["label_time"].max() < scene.ends  # type: ignore[operator]
    assert scene.traffic["delivered"].is_sorted()


def test_a_payment_of_history_is_not_sent_again(scene: Scene) -> None:
    assert scene.history.join(scene.traffic, on="transaction_id", how="semi").is_empty()


def test_the_simulated_world_brings_enough_labels_and_frauds(scene: Scene) -> None:
    assert scene.matures >= TASK.policy.volume
    final = pl.concat([scene.told, scene.telling]).unique("transaction_id", keep="last", maintain_order=True)
    week = timedelta(days=7)
    holdout = scene.history.filter(pl.col("tx_time").is_between(scene.now - week, scene.now, closed="left"))
    assert holdout.join(final, on="transaction_id").filter(pl.col("is_fraud") == 1).height > 300


def test_a_file_is_cut_before_its_last_days_and_labels_follow_the_rule(tmp_path: Path) -> None:
    path = tmp_path / "payments.parquet"
    frame = _payments(days=30, per_day=4_000)
    frame.write_parquet(path)
    scene = from_file(TASK, path, 3)
    assert scene.now == datetime(2024, 1, 28, tzinfo=UTC)
    assert scene.ends == datetime(2024, 1, 31, tzinfo=UTC)
    assert len(scene.history) + len(scene.traffic) == len(frame)
    known = pl.concat([scene.told, scene.telling]).join(frame, on="transaction_id")
    assert (known["label_time"] - known["tx_time"] == timedelta(days=7)).all()
    # Of the last week nothing is known before the end.
    assert len(known) == 23 * 4_000
    assert from_file(TASK, path, None).days == 5  # 20,000 payments at 4,000 a day


def test_a_csv_file_gives_the_same_scene(tmp_path: Path) -> None:
    frame = _payments(days=20, per_day=4_000)
    frame.write_parquet(tmp_path / "payments.parquet")
    frame.with_columns(pl.col("tx_time").dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ")).write_csv(tmp_path / "payments.csv")
    one = from_file(TASK, tmp_path / "payments.parquet", 3)
    other = from_file(TASK, tmp_path / "payments.csv", 3)
    assert other.history.equals(one.history.select(other.history.columns).cast(dict(other.history.schema)))  # type: ignore[arg-type]
    assert other.telling.equals(one.telling)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("payments.parquet", b"PAR1 and then nothing", "not a readable parquet file"),
        ("payments.txt", b"", "give .parquet or .csv"),
        ("payments.csv", b"transaction_id,tx_time\n1,2024-01-01T00:00:00Z\n", "is_fraud"),
        ("payments.csv", b"", "not a readable csv file"),
    ],
)
def test_a_file_that_cannot_be_played_is_explained(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(SceneError, match=says) as refused:
        from_file(TASK, path, None)
    assert name in str(refused.value)


def test_too_few_days_for_the_volume_trigger_are_refused_with_the_numbers(tmp_path: Path) -> None:
    path = tmp_path / "payments.parquet"
    _payments(days=30, per_day=100).write_parquet(path)
    with pytest.raises(SceneError, match=r"only 300 labels mature within 3 days .* 10,000; give more --days"):
        from_file(TASK, path, 3)


def test_months_cover_every_row_once() -> None:
    frame = _payments(days=70, per_day=10).with_columns(
        tx_time=pl.when(pl.col("transaction_id") == 5).then(None).otherwise(pl.col("tx_time"))
    )
    months = dict(by_month(frame, "tx_time"))
    assert list(months) == ["2024-01", "2024-02", "2024-03", "undated"]
    assert pl.concat(months.values()).sort("transaction_id").equals(frame)
