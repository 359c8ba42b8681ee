"""Sensors and the schedule on a real, ephemeral instance: what they ask for, and when they hold back."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import polars as pl
import pytest

from ct_assets.assets.keys import AFTER_TAG, CAUSE_TAG, JOB_TAG, TASK_TAG
from ct_assets.release import ledger
from ct_assets.sensors import MAX_ATTEMPTS, retrain
from ct_assets.triggers import Trigger
from feature_defs import catalogue

TASK = catalogue.load("card_fraud")
VOLUME = Trigger("volume", 3, {"matured": 12_000})


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as found:
        yield found


def has_run(instance: dg.DagsterInstance, status: dg.DagsterRunStatus, **tags: str) -> None:
    """A retrain of the task in `status`, as the daemon would have left it."""

    @dg.job(name="card_fraud_retrain")
    def some_run() -> None: ...

    tagged = {TASK_TAG: TASK.name, JOB_TAG: "retrain", **{f"ct/{name}": value for name, value in tags.items()}}
    instance.create_run_for_job(some_run, tags=tagged, status=status)


def asked(found: Any) -> dg.RunRequest:
    assert isinstance(found, dg.RunRequest), found
    return found


def test_a_trigger_asks_for_a_run_that_says_why(instance) -> None:
    found = asked(retrain(instance, TASK, VOLUME))
    assert found.run_key == "card_fraud/retrain/after-v3/attempt-1"
    assert found.tags[CAUSE_TAG] == "volume"
    assert found.tags[AFTER_TAG] == "3"
    assert found.tags["ct/evidence/matured"] == "12000"


def test_the_same_standing_asks_for_the_same_run(instance) -> None:
    """The daemon starts a run key once, so that a tick repeated after a restart starts nothing."""
    assert asked(retrain(instance, TASK, VOLUME)).run_key == asked(retrain(instance, TASK, VOLUME)).run_key


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED])
def test_one_retrain_at_a_time(instance, status: dg.DagsterRunStatus) -> None:
    has_run(instance, status)
    found = retrain(instance, TASK, VOLUME)
    assert isinstance(found, dg.SkipReason)
    assert "under way" in found.skip_message


def test_two_triggers_of_one_standing_are_one_run(instance) -> None:
    clock = Trigger("cadence", 3, {})
    assert asked(retrain(instance, TASK, clock)).run_key == asked(retrain(instance, TASK, VOLUME)).run_key


def test_a_failed_run_is_tried_again_under_a_new_key(instance) -> None:
    has_run(instance, dg.DagsterRunStatus.FAILURE, occasion="after-v3")
    assert asked(retrain(instance, TASK, VOLUME)).run_key == "card_fraud/retrain/after-v3/attempt-2"


def test_failures_after_another_version_do_not_count(instance) -> None:
    has_run(instance, dg.DagsterRunStatus.FAILURE, occasion="after-v2")
    assert asked(retrain(instance, TASK, VOLUME)).run_key == "card_fraud/retrain/after-v3/attempt-1"


def test_a_run_that_keeps_failing_waits_for_a_person(instance) -> None:
    for _ in range(MAX_ATTEMPTS):
        has_run(instance, dg.DagsterRunStatus.FAILURE, occasion="after-v3")
    found = retrain(instance, TASK, VOLUME)
    assert isinstance(found, dg.SkipReason)
    assert "by hand" in found.skip_message


def tick(turning, name: str) -> Any:
    """One evaluation of a sensor, as the daemon does it."""
    sensor = turning.defs.resolve_sensor_def(f"card_fraud_{name}")
    with dg.build_sensor_context(instance=turning.instance, resources={"loop": turning.loop}) as context:
        return sensor.evaluate_tick(context)


@pytest.mark.slow
@pytest.mark.xdist_group("sensors")
def test_from_new_input_to_mature_labels_to_a_retrain(turning, small_world) -> None:
    """The whole way that an unattended loop takes, one tick after another."""
    assert not tick(turning, "new_input").run_requests
    assert "0 of 500 labels" in tick(turning, "mature_labels").skip_message
    assert not tick(turning, "unserved_champion").run_requests

    events, labels = small_world.between(51, 58)
    turning.offer("events", "week.parquet", events)
    turning.offer("labels", "week.parquet", labels)
    [ingest] = tick(turning, "new_input").run_requests
    assert [repeat.run_key for repeat in tick(turning, "new_input").run_requests] == [ingest.run_key]
    assert turning.run("ingest", **ingest.tags).success
    assert not tick(turning, "new_input").run_requests

    [asked_for] = tick(turning, "mature_labels").run_requests
    labelled = turning.lake.read("labeled_events", where=pl.col("mature") & pl.col("label").is_not_null()).collect()
    first = ledger.newest(turning.lake).holdout_to
    watermark = turning.lake.watermark()
    matured = labelled.filter(pl.col("event_time") >= first, pl.col("event_time") + pl.duration(days=7) < watermark)
    assert int(asked_for.tags["ct/evidence/matured"]) == len(matured) >= 500

    turning.run("retrain", **asked_for.tags)
    assert [(row.version, row.trigger) for row in ledger.versions(turning.lake)] == [(1, "manual"), (2, "volume")]
    assert not tick(turning, "mature_labels").run_requests


@pytest.mark.slow
@pytest.mark.xdist_group("sensors")
def test_a_champion_that_the_service_does_not_know_is_packaged(turning) -> None:
    plan = turning.home.serving("card_fraud") / "plan.json"
    kept = plan.read_bytes()
    plan.unlink()
    [package] = tick(turning, "unserved_champion").run_requests
    assert turning.run("package", **package.tags).success
    assert plan.read_bytes() == kept
    assert not tick(turning, "unserved_champion").run_requests


@pytest.mark.slow
@pytest.mark.xdist_group("sensors")
def test_the_schedule_goes_by_the_tasks_own_clock(turning) -> None:
    schedule = turning.defs.resolve_schedule_def("card_fraud_cadence")
    with dg.build_schedule_context(instance=turning.instance, resources={"loop": turning.loop}) as context:
        found = schedule.evaluate_tick(context)
    # Mature data reaches a week at most past the newest version only once a week more has come in.
    assert not found.run_requests
    assert "7d" in found.skip_message
