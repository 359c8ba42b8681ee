"""The Dagster instance of a home: its folder, its `dagster.yaml`, the variables that point at it."""

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from ct_assets import telemetry
from ct_assets.settings import Home

if TYPE_CHECKING:
    import dagster as dg

# The checkout: where workspace.yaml, dagster.yaml and the service's package lie.
PROJECT = Path(__file__).resolve().parent.parent


def prepare(home: Home) -> None:
    """Create what the processes of a loop expect to find, and point this process and its children at it."""
    telemetry.off()
    for folder in (home.dagster, home.logs, home.mlflow_artifacts, home.mlflow_db.parent, home.bentoml):
        folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(PROJECT / "dagster.yaml", home.dagster / "dagster.yaml")
    os.environ["CT_HOME"] = str(home.root)
    os.environ["DAGSTER_HOME"] = str(home.dagster)
    os.environ["BENTOML_HOME"] = str(home.bentoml)


def get(home: Home) -> "dg.DagsterInstance":
    """The instance of `home`, prepared."""
    import dagster as dg

    prepare(home)
    return dg.DagsterInstance.get()


def close_abandoned(home: Home) -> int:
    """Report as failed what a killed process left as running, so that sensors do not wait for the dead.

    For whoever occupies the home: nobody else is running anything then, and what is queued has not begun.
    Returns how many there were.
    """
    import dagster as dg

    status = dg.DagsterRunStatus
    going_on = [status.NOT_STARTED, status.STARTING, status.STARTED, status.CANCELING]
    with get(home) as instance:
        runs = instance.get_runs(dg.RunsFilter(statuses=going_on))
        for run in runs:
            instance.report_run_failed(run, "the process that ran it was ended from outside")
    return len(runs)
