"""The demo's hands on Dagster: runs jobs and asks sensors on the home's own instance, so that the UI shows it all.

The one place that knows the names of jobs and sensors.
"""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from ct_assets import instance
from ct_assets.assets.keys import CAUSE_TAG
from ct_assets.resources import LoopHome
from ct_assets.settings import Home
from feature_defs.task import Task

# What the daemon puts on the runs it starts: the same tick is then not answered twice.
_RUN_KEY, _SENSOR = "dagster/run_key", "dagster/sensor_name"


class LoopError(Exception):
    """A run failed where it should not, or a sensor did not ask."""


class Loop:
    """The definitions of the project on the instance of `home`."""

    def __init__(self, home: Home, task: Task) -> None:
        # Runs of a killed demo would else look as if they were still going on.
        instance.close_abandoned(home)
        self._instance = instance.get(home)
        from ct_assets.definitions import defs

        self._defs, self._home, self._task = defs, home, task

    def ingest(self) -> None:
        """Take in files and the service's journal; bring labels and features up to date."""
        self._demand("ingest", {CAUSE_TAG: "new input"})

    def retrain(self, tags: Mapping[str, str]) -> str | None:
        """Once around, from data to Bento. Returns what failed: a refusal is one, and the ledger says which it was."""
        return self._run("retrain", tags, {})

    def evaluate(self, version: int) -> str | None:
        """Judge an existing version, and release it if every gate passes. Returns what failed, a refusal included."""
        name = self._task.name
        config = {"ops": {f"{name}__evaluation": {"config": {"version": version}}}}
        return self._run("evaluate", {CAUSE_TAG: "a version from outside"}, config)

    def volume_request(self) -> dict[str, str] | str:
        """What the sensor on mature labels says now: the tags of the run it asks for, or why it asks for none."""
        name = f"{self._task.name}_mature_labels"
        sensor = self._defs.resolve_sensor_def(name)
        resources = {"loop": LoopHome(root=str(self._home.root))}
        with dg.build_sensor_context(instance=self._instance, sensor_name=name, resources=resources) as context:
            tick = sensor.evaluate_tick(context)
        if not tick.run_requests:
            return tick.skip_message or "the sensor asked for nothing and gave no reason"
        asked = tick.run_requests[0]
        return {**asked.tags, _SENSOR: name, **({_RUN_KEY: asked.run_key} if asked.run_key else {})}

    def _demand(self, job: str, tags: Mapping[str, str]) -> None:
        if failure := self._run(job, tags, {}):
            raise LoopError(failure)

    def _run(self, job: str, tags: Mapping[str, str], config: dict[str, Any]) -> str | None:
        """Run a job in this process; returns what failed, if anything."""
        definition = self._defs.resolve_job_def(f"{self._task.name}_{job}")
        result = definition.execute_in_process(
            instance=self._instance, run_config=config, tags=dict(tags), raise_on_error=False
        )
        if result.success:
            return None
        reasons = [event.event_specific_data for event in result.filter_events(lambda event: event.is_step_failure)]
        return "\n".join([f"run {result.run_id} of job {definition.name} failed", *map(_message, reasons)])


def _message(reason: object) -> str:
    """The innermost message of a failed step."""
    error = getattr(reason, "error", None)
    while error is not None and error.cause is not None:
        error = error.cause
    return str(error.message).strip() if error is not None else str(reason)
