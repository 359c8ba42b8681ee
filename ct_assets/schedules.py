"""Schedules: retraining by the clock. The decision itself is `triggers.cadence`, on the task's own clock."""

import dagster as dg

from ct_assets import triggers
from ct_assets.jobs import Jobs
from ct_assets.resources import LoopHome
from ct_assets.sensors import retrain
from feature_defs.task import Task


def task_schedules(task: Task, jobs: Jobs) -> list[dg.ScheduleDefinition]:
    """The schedules of `task`, running by default."""

    @dg.schedule(
        name=f"{task.name}_cadence",
        cron_schedule="*/10 * * * *",
        job=jobs.retrain,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=f"Looks every ten minutes whether mature data is {task.policy.cadence} past the newest version.",
    )
    def cadence(context: dg.ScheduleEvaluationContext, loop: LoopHome) -> dg.RunRequest | dg.SkipReason:
        trigger = triggers.cadence(task, triggers.standing(task, loop.lake(task)))
        if trigger is None:
            return dg.SkipReason(f"mature data is less than {task.policy.cadence} past the newest version")
        return retrain(context.instance, task, trigger)

    return [cadence]
