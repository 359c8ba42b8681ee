"""Exactly-once appends, as-of reads and partition overwrites, on real Delta tables."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from deltalake.exceptions import CommitFailedError

from ct_assets.lake.lake import Lake
from ct_assets.lake.tables import INSTANT, Partition, Table
from feature_defs.card_fraud import task

START = datetime(2018, 4, 1, tzinfo=UTC)
READINGS = Table("readings", {"name": pl.String(), "at": INSTANT}, Partition("day", "at"), "at")


def _readings(*names: str, hours: int = 0) -> pl.DataFrame:
    at = [START + timedelta(hours=hours + number) for number in range(len(names))]
    return pl.DataFrame({"name": names, "at": at}, schema_overrides={"at": INSTANT})


def _names(lake: Lake) -> list[str]:
    return lake.read(READINGS).collect()["name"].sort().to_list()


def test_an_append_under_the_same_number_happens_once(lake: Lake) -> None:
    assert lake.append(READINGS, _readings("a"), "writer", 1)
    assert not lake.append(READINGS, _readings("a"), "writer", 1)
    assert not lake.append(READINGS, _readings("old"), "writer", 0)
    assert lake.append(READINGS, _readings("b"), "another writer", 1)
    assert _names(lake) == ["a", "b"]


def test_writers_that_race_under_one_name_store_each_number_once(lake: Lake) -> None:
    numbers = [number for number in range(8) for _ in range(3)]
    with ThreadPoolExecutor(6) as pool:
        done = list(pool.map(lambda number: lake.append(READINGS, _readings(f"{number}"), f"w{number}", 1), numbers))
    assert sum(done) == 8
    assert _names(lake) == sorted(map(str, range(8)))


def test_the_second_commit_from_one_snapshot_is_refused(lake: Lake) -> None:
    first, second = lake.snapshot(READINGS), lake.snapshot(READINGS)
    first.append(_readings("a"), {"writer": 1})
    with pytest.raises(CommitFailedError):
        second.append(_readings("b"), {"writer": 1})
    assert _names(lake) == ["a"]


def test_a_commit_carries_the_run_that_made_it(lake: Lake) -> None:
    lake.append(READINGS, _readings("a"), "writer", 1, run_id="run-7")
    assert lake.snapshot(READINGS).delta.history(1)[0]["run_id"] == "run-7"


def test_a_table_that_was_never_written_reads_as_empty_with_its_columns(lake: Lake) -> None:
    for name, table in lake.tables.items():
        assert dict(lake.read(name).collect().schema) == table.schema
        assert lake.version(name) == -1
    assert not lake.path.exists()


def test_every_table_keeps_its_types_through_storage(lake: Lake) -> None:
    for name, table in lake.tables.items():
        empty = pl.DataFrame(schema=dict(table.columns))
        lake.append(name, empty, "writer", 1)
        assert dict(lake.read(name).collect().schema) == table.schema


def test_a_read_as_of_an_instant_shows_what_had_arrived(lake: Lake) -> None:
    lake.append(READINGS, _readings("a", "b", "c"), "writer", 1)
    seen = lake.read(READINGS, as_of=START + timedelta(hours=1), columns=["name"]).collect()
    assert seen["name"].to_list() == ["a", "b"]
    with pytest.raises(ValueError, match="no arrival column"):
        lake.read("deliveries", as_of=START)


def test_an_older_version_stays_readable(lake: Lake) -> None:
    lake.append(READINGS, _readings("a"), "writer", 1)
    pinned = lake.version(READINGS)
    lake.append(READINGS, _readings("b"), "writer", 2)
    assert lake.read(READINGS, version=pinned).collect()["name"].to_list() == ["a"]
    assert lake.read(READINGS, version=-1).collect().is_empty()


def test_overwriting_days_leaves_the_files_of_other_days_alone(lake: Lake) -> None:
    lake.append(READINGS, _readings("a", "b"), "writer", 1)
    lake.append(READINGS, _readings("c", hours=24 * 400), "writer", 2)
    kept = {file for file in lake.snapshot(READINGS).delta.file_uris() if "2018" not in file}
    lake.overwrite_partitions(READINGS, _readings("z"), [date(2018, 4, 1)])
    assert _names(lake) == ["c", "z"]
    assert kept <= set(lake.snapshot(READINGS).delta.file_uris())


def test_hundreds_of_scattered_days_can_be_overwritten_at_once(lake: Lake) -> None:
    at = [START + timedelta(days=2 * number) for number in range(400)]
    frame = pl.DataFrame({"name": [str(day) for day in at], "at": at}, schema_overrides={"at": INSTANT})
    lake.overwrite_partitions(READINGS, frame, [day.date() for day in at])
    lake.overwrite_partitions(READINGS, frame, [day.date() for day in at])
    assert lake.read(READINGS).collect()["name"].n_unique() == 400
    assert lake.snapshot(READINGS).days() == {day.date(): 1 for day in at}


def test_the_log_is_checkpointed_so_that_opening_stays_cheap(lake: Lake) -> None:
    for number in range(25):
        lake.append(READINGS, _readings("a"), "writer", number)
    log = lake.location(READINGS) / "_delta_log"
    newest = json.loads((log / "_last_checkpoint").read_text())["version"]
    assert lake.version(READINGS) - newest < 10


def test_an_unknown_table_and_a_frame_that_lacks_a_column_are_named(lake: Lake) -> None:
    with pytest.raises(KeyError, match="no table 'evnts' in the lake of card_fraud; there is: events"):
        lake.read("evnts")
    with pytest.raises(ValueError, match=r"table readings: the frame lacks \['at'\]"):
        lake.append(READINGS, pl.DataFrame({"name": ["a"]}), "writer", 1)


def test_the_watermark_is_the_newest_arrival(lake: Lake) -> None:
    assert lake.watermark() is None
    when = START + timedelta(days=3)
    statement = pl.DataFrame(
        {"event_id": [1], "label": [1], "kind": ["truth"], "available_at": [when], "source": ["s"], "offset": [0]}
    )
    lake.append("labels", statement, "writer", 1)
    assert lake.watermark() == when


def test_a_feature_set_has_a_folder_of_its_own(lake: Lake) -> None:
    assert lake.location("features").name == task.feature_hash
