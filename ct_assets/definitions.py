"""The code location: everything Dagster loads, for every task. Assembly only."""

from collections.abc import Sequence

import dagster as dg

from ct_assets import telemetry

telemetry.off()

from ct_assets.assets.data import data_assets  # noqa: E402 not before reporting is off
from ct_assets.assets.learning import learning_assets  # noqa: E402
from ct_assets.assets.release import release_assets  # noqa: E402
from ct_assets.assets.serving import serving_assets  # noqa: E402
from ct_assets.checks.data import data_checks  # noqa: E402
from ct_assets.checks.gates import gate_checks  # noqa: E402
from ct_assets.checks.serving import serving_checks  # noqa: E402
from ct_assets.jobs import task_jobs  # noqa: E402
from ct_assets.resources import JsonValues, LoopHome  # noqa: E402
from ct_assets.schedules import task_schedules  # noqa: E402
from ct_assets.sensors import task_sensors  # noqa: E402
from ct_assets.settings import Home, home  # noqa: E402
from feature_defs import catalogue  # noqa: E402
from feature_defs.task import Task  # noqa: E402


def build_definitions(place: Home | None = None, tasks: Sequence[Task] | None = None) -> dg.Definitions:
    """The loop of `tasks` (all there are by default) with its state in `place` (`CT_HOME` by default)."""
    place = place or home()
    tasks = [catalogue.load(name) for name in catalogue.TASKS] if tasks is None else tasks
    return dg.Definitions.merge(
        dg.Definitions(
            resources={
                "loop": LoopHome(root=str(place.root)),
                "io_manager": JsonValues(root=str(place.root / "values")),
            },
            # A process per step would import everything again for each: seconds, for steps that take less.
            executor=dg.in_process_executor,
        ),
        *(_loop(task) for task in tasks),
    )


def _loop(task: Task) -> dg.Definitions:
    jobs = task_jobs(task)
    return dg.Definitions(
        assets=[*data_assets(task), *learning_assets(task), *release_assets(task), *serving_assets(task)],
        asset_checks=[*data_checks(task), *gate_checks(task), *serving_checks(task)],
        jobs=list(jobs),
        sensors=task_sensors(task, jobs),
        schedules=task_schedules(task, jobs),
    )


defs = build_definitions()
