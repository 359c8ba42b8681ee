"""Selecting a training set: mature truth only, windows to the microsecond, the same rows again from the manifest."""

from dataclasses import replace
from datetime import datetime, timedelta

import msgspec
import polars as pl
import pytest

from ct_assets.lake.lake import Lake
from ct_assets.training.manifest import Manifest, digest
from ct_assets.training.selection import TrainingRefusedError, holdout, load, select
from ct_assets_tests.ct_assets.release.worlds import Fill
from feature_defs.feature import Row
from feature_defs.task import Task

DAY = timedelta(days=1)


def test_the_holdout_ends_at_the_horizon_and_the_window_where_it_begins(lake: Lake, task: Task, fill: Fill) -> None:
    as_of = fill(30)
    found = select(lake, task, as_of)
    manifest = found.manifest
    assert manifest.holdout_to == as_of - 7 * DAY
    assert manifest.holdout_from == manifest.window_to == as_of - 14 * DAY
    assert manifest.window_from == as_of - 28 * DAY
    assert (manifest.complete, manifest.label_cutoff) == (True, as_of)
    rows = lake.read("labeled_events").collect()
    for frame, start, end in (
        (found.train, manifest.window_from, manifest.window_to),
        (found.holdout, manifest.holdout_from, manifest.holdout_to),
    ):
        expected = rows.filter(pl.col("event_time").is_between(start, end, closed="left")).sort(
            "event_time", "event_id"
        )
        assert frame["event_id"].equals(expected["event_id"])
        assert frame["label"].equals(expected["label"])
    assert (manifest.rows, manifest.positives) == (len(found.train), found.train["label"].sum())
    assert (manifest.holdout_rows, manifest.holdout_positives) == (len(found.holdout), found.holdout["label"].sum())
    assert holdout(lake, task, as_of).equals(found.holdout)


def test_labels_that_arrived_later_or_not_at_all_are_not_learnt_from(lake: Lake, task: Task, fill: Fill) -> None:
    as_of = fill(30)
    rows = lake.read("labeled_events").sort("event_time").collect()
    late, missing = rows.filter(pl.col("event_time") < as_of - 20 * DAY)["event_id"].to_list()[-2:]
    for event, change in (
        (late, pl.lit(as_of + timedelta(microseconds=1)).alias("label_available_at")),
        (missing, pl.lit(None, pl.Int8).alias("label")),
    ):
        day = rows.filter(pl.col("event_id") == event)["event_date"][0]
        hit = pl.col("event_id") == event
        column = change.meta.output_name()
        rows = rows.with_columns(pl.when(hit).then(change).otherwise(pl.col(column)).alias(column))
        lake.overwrite_partitions("labeled_events", rows.filter(pl.col("event_date") == day), [day])
    found = select(lake, task, as_of).train["event_id"]
    assert late not in found
    assert missing not in found
    assert late in select(lake, task, as_of + timedelta(microseconds=1)).train["event_id"]


def test_a_short_history_is_used_and_said(lake: Lake, task: Task, fill: Fill) -> None:
    manifest = select(lake, task, fill(12)).manifest
    assert not manifest.complete
    assert manifest.data_from > manifest.window_from
    assert manifest.rows > 0


def test_a_manifest_survives_json_and_names_its_rows(lake: Lake, task: Task, fill: Fill) -> None:
    found = select(lake, task, fill(30))
    again = msgspec.json.decode(msgspec.json.encode(found.manifest), type=Manifest)
    assert again == found.manifest
    loaded = load(lake, task, again)
    assert loaded.train.equals(found.train)
    assert loaded.holdout.equals(found.holdout)


def test_rows_are_read_from_the_versions_the_manifest_names(lake: Lake, task: Task, fill: Fill) -> None:
    found = select(lake, task, fill(30))
    rows = lake.read("labeled_events").collect()
    day = found.train["event_time"][0].date()
    flipped = rows.filter(pl.col("event_date") == day).with_columns((1 - pl.col("label")).alias("label"))
    lake.overwrite_partitions("labeled_events", flipped, [day])
    assert load(lake, task, found.manifest).train.equals(found.train)
    newer = msgspec.structs.replace(
        found.manifest,
        table_versions=found.manifest.table_versions | {"labeled_events": lake.version("labeled_events")},
    )
    with pytest.raises(TrainingRefusedError, match="the tables were rewritten"):
        load(lake, task, newer)


def test_rewriting_the_same_rows_keeps_the_digest(lake: Lake, task: Task, fill: Fill) -> None:
    as_of = fill(30)
    before = select(lake, task, as_of).manifest
    rows = lake.read("labeled_events").collect()
    day = before.window_from.date() + DAY
    lake.overwrite_partitions("labeled_events", rows.filter(pl.col("event_date") == day), [day])
    after = select(lake, task, as_of).manifest
    assert after.table_versions != before.table_versions
    assert after.digest == before.digest


def test_shuffling_labels_changes_nothing_but_their_order(lake: Lake, task: Task, fill: Fill) -> None:
    found = select(lake, task, fill(30))
    shuffled = found.shuffled(3)
    assert shuffled.manifest.digest not in (found.manifest.digest, found.shuffled(4).manifest.digest)
    assert shuffled.manifest.digest == found.shuffled(3).manifest.digest
    assert shuffled.manifest.alteration == "training labels shuffled with seed 3"
    assert shuffled.train.drop("label").equals(found.train.drop("label"))
    assert shuffled.train["label"].sum() == found.train["label"].sum()
    assert not shuffled.train["label"].equals(found.train["label"])


def test_nothing_to_learn_from_is_refused_with_the_reason(lake: Lake, task: Task, fill: Fill) -> None:
    with pytest.raises(TrainingRefusedError, match="there is no history yet"):
        select(lake, task, datetime.fromisoformat("2024-04-01T00:00:00+00:00"))
    as_of = fill(10)
    with pytest.raises(TrainingRefusedError, match=r"history begins at 2024-03-01 .* UTC: wait for labels"):
        select(lake, task, as_of - 5 * DAY)
    with pytest.raises(TrainingRefusedError, match="to judge a candidate on"):
        select(lake, task, as_of + 10 * DAY)


def test_one_class_is_refused(lake: Lake, task: Task, fill: Fill) -> None:
    as_of = fill(20)
    rows = lake.read("labeled_events").with_columns(label=pl.lit(0, pl.Int8)).collect()
    lake.overwrite_partitions("labeled_events", rows, rows["event_date"].unique().to_list())
    with pytest.raises(TrainingRefusedError, match=r"0 of .* training rows are positive"):
        select(lake, task, as_of)


def test_rows_without_features_are_refused(lake: Lake, task: Task, fill: Fill) -> None:
    as_of = fill(20)
    vectors = lake.read("features").collect()
    day = vectors["event_date"].max()
    rows = vectors.filter(pl.col("event_date") == day)
    lake.overwrite_partitions("features", rows.head(len(rows) - 1), [day])
    with pytest.raises(TrainingRefusedError, match=r"1 of .* labelled rows .* have no features"):
        select(lake, task, as_of)


def test_a_manifest_of_another_feature_set_is_refused(lake: Lake, task: Task, fill: Fill) -> None:
    manifest = select(lake, task, fill(20)).manifest
    edited = replace(task, features=(*task.features, Row("amount_again", pl.col("amount"))))
    with pytest.raises(TrainingRefusedError, match="select a training set again"):
        load(lake, edited, manifest)


def test_a_digest_depends_on_values_not_on_chunks() -> None:
    frame = pl.DataFrame({"id": ["a", "b"], "x": [1.0, None], "n": [1, 2]})
    parts = pl.concat([frame.head(1), frame.tail(1)], rechunk=False)
    assert digest(frame, "about") == digest(parts, "about")
    others = [
        digest(frame, "other"),
        digest(frame.reverse(), "about"),
        digest(frame.with_columns(x=pl.lit(1.0)), "about"),
        digest(frame.rename({"x": "y"}), "about"),
        digest(frame.with_columns(pl.col("n").cast(pl.Int32)), "about"),
    ]
    assert len({digest(frame, "about"), *others}) == 6
