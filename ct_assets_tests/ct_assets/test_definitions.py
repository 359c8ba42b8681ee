"""The code location: what it holds, that people can read it, and that loading it stays cheap."""

import subprocess
import sys

import dagster as dg
import pytest

from ct_assets.definitions import defs

HEAVY = ("mlflow", "xgboost", "pandas", "great_expectations", "evidently", "matplotlib", "bentoml", "numba", "scipy")


def test_it_loads() -> None:
    dg.Definitions.validate_loadable(defs)


def test_what_it_holds() -> None:
    repository = defs.get_repository_def()
    keys = {key.to_user_string() for key in repository.asset_graph.get_all_asset_keys()}
    data = "events labels labeled_events features entity_state online_store"
    model = "training_set candidate evaluation release bento predictions skew"
    assert keys == {f"card_fraud/{name}" for name in f"{data} {model}".split()}
    assert {job.name for job in repository.get_all_jobs() if not job.name.startswith("__")} == {
        f"card_fraud_{name}" for name in ("ingest", "retrain", "evaluate", "package")
    }
    assert {sensor.name for sensor in repository.sensor_defs} == {
        f"card_fraud_{name}" for name in ("new_input", "mature_labels", "unserved_champion")
    }
    assert {schedule.name for schedule in repository.schedule_defs} == {"card_fraud_cadence"}


def test_everything_says_what_it_is_for() -> None:
    repository = defs.get_repository_def()
    graph = repository.asset_graph
    described = {
        **{key.to_user_string(): graph.get(key).description for key in graph.get_all_asset_keys()},
        **{str(key): graph.get_check_spec(key).description for key in graph.asset_check_keys},
        **{sensor.name: sensor.description for sensor in repository.sensor_defs},
        **{schedule.name: schedule.description for schedule in repository.schedule_defs},
        **{job.name: job.description for job in repository.get_all_jobs() if not job.name.startswith("__")},
    }
    assert [name for name, description in described.items() if not description] == []


def test_every_check_blocks() -> None:
    graph = defs.get_repository_def().asset_graph
    assert {
        f"{key.asset_key.to_user_string()}:{key.name}": graph.get_check_spec(key).blocking
        for key in graph.asset_check_keys
    } == {
        "card_fraud/events:contract": True,
        "card_fraud/labels:contract": True,
        "card_fraud/evaluation:contract": True,
        "card_fraud/evaluation:quality": True,
        "card_fraud/skew:no_skew": True,
    }


def test_sensors_and_schedules_run_unattended() -> None:
    repository = defs.get_repository_def()
    assert all(sensor.default_status == dg.DefaultSensorStatus.RUNNING for sensor in repository.sensor_defs)
    assert all(schedule.default_status == dg.DefaultScheduleStatus.RUNNING for schedule in repository.schedule_defs)


@pytest.mark.parametrize("module", HEAVY)
def test_loading_it_leaves_out(module: str, loaded: set[str]) -> None:
    assert module not in loaded


@pytest.fixture(scope="module")
def loaded() -> set[str]:
    code = "import sys, ct_assets.definitions; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())
