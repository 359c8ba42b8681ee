"""Runs that a killed process left behind: reported as failed, so that nobody waits for them."""

from pathlib import Path

import dagster as dg
import pytest

from ct_assets import instance
from ct_assets.settings import Home


@dg.job
def some_job() -> None: ...


@pytest.mark.parametrize(
    ("status", "ended"),
    [
        (dg.DagsterRunStatus.STARTED, True),
        (dg.DagsterRunStatus.STARTING, True),
        (dg.DagsterRunStatus.SUCCESS, False),
        (dg.DagsterRunStatus.FAILURE, False),
    ],
)
def test_only_what_was_going_on_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: dg.DagsterRunStatus, ended: bool
) -> None:
    for name in ("CT_HOME", "DAGSTER_HOME", "BENTOML_HOME"):
        monkeypatch.setenv(name, "to be set")
    home = Home(tmp_path)
    with instance.get(home) as found:
        run_id = found.create_run_for_job(some_job, status=status).run_id
    assert instance.close_abandoned(home) == ended
    with instance.get(home) as found:
        assert found.get_run_by_id(run_id).status == (dg.DagsterRunStatus.FAILURE if ended else status)
