"""Sensors: what starts runs unattended. Each asks a plain function and turns its answer into a run request.

No thresholds here (the task's policy has them) and no heavy imports: a tick must stay cheap.
"""

import dagster as dg
from dagster import RunsFilter

from ct_assets import intake, triggers
from ct_assets.assets.keys import AFTER_TAG, CAUSE_TAG, EVIDENCE_TAG, JOB_TAG, TASK_TAG
from ct_assets.jobs import Jobs
from ct_assets.release import ledger, plan
from ct_assets.resources import LoopHome
from feature_defs.task import Task

# A run that fails three times on the same data needs a person; the sensor says so and waits for newer data.
MAX_ATTEMPTS = 3

OPEN = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def request(instance: dg.DagsterInstance, task: Task, trigger: triggers.Trigger) -> dg.RunRequest | dg.SkipReason:
    """A retrain for `trigger`, unless one is open or it failed too often.

    The run key names the newest version and the attempt: a repeated tick starts nothing, a failed run is tried again
    (Dagster itself never relaunches a run key).
    """
    mine = {TASK_TAG: task.name, JOB_TAG: "retrain"}
    if instance.get_runs_count(RunsFilter(tags=mine, statuses=OPEN)):
        return dg.SkipReason(f"{trigger.cause}: a retrain of {task.name} is already under way")
    failed = instance.get_runs_count(
        RunsFilter(
            tags=mine | {AFTER_TAG: str(trigger.after)},
            statuses=[dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED],
        )
    )
    if failed >= MAX_ATTEMPTS:
        return dg.SkipReason(
            f"{trigger.cause}: {failed} runs after version {trigger.after} failed; look at them, then start one by hand"
        )
    key = f"{task.name}/after-v{trigger.after}/attempt-{failed + 1}"
    evidence = {f"{EVIDENCE_TAG}{name}": str(value) for name, value in trigger.evidence.items()}
    return dg.RunRequest(run_key=key, tags={CAUSE_TAG: trigger.cause, AFTER_TAG: str(trigger.after), **evidence})


def task_sensors(task: Task, jobs: Jobs) -> list[dg.SensorDefinition]:
    """The sensors of `task`, all running by default."""
    running = dg.DefaultSensorStatus.RUNNING

    @dg.sensor(
        name=f"{task.name}_new_input",
        job=jobs.ingest,
        minimum_interval_seconds=15,
        default_status=running,
        description="Files in the inbox or records in the service's journal start an ingest.",
    )
    def new_input(context: dg.SensorEvaluationContext, loop: LoopHome) -> dg.RunRequest | dg.SkipReason:
        waiting = intake.waiting(loop.home, task)
        if not waiting:
            return dg.SkipReason("nothing in the inbox and nothing in the journal")
        tags = {TASK_TAG: task.name, JOB_TAG: "ingest"}
        if context.instance.get_runs_count(RunsFilter(tags=tags, statuses=OPEN)):
            return dg.SkipReason("an ingest is already under way")
        failed = context.instance.get_runs_count(RunsFilter(tags=tags, statuses=[dg.DagsterRunStatus.FAILURE]))
        return dg.RunRequest(run_key=f"{waiting.fingerprint}/{failed}", tags={CAUSE_TAG: "new input"})

    @dg.sensor(
        name=f"{task.name}_mature_labels",
        job=jobs.retrain,
        minimum_interval_seconds=30,
        default_status=running,
        description=f"{task.policy.volume:,} newly matured labels since the newest version start a retrain.",
    )
    def mature_labels(context: dg.SensorEvaluationContext, loop: LoopHome) -> dg.RunRequest | dg.SkipReason:
        at = triggers.standing(task, loop.lake(task))
        trigger = triggers.volume(task, at)
        if trigger is None:
            return dg.SkipReason(f"{at.waiting:,} of {task.policy.volume:,} labels have matured since v{at.newest}")
        return request(context.instance, task, trigger)

    @dg.sensor(
        name=f"{task.name}_unserved_champion",
        job=jobs.package,
        minimum_interval_seconds=30,
        default_status=running,
        description="A promotion that was cut off before its Bento was built is finished.",
    )
    def unserved_champion(context: dg.SensorEvaluationContext, loop: LoopHome) -> dg.RunRequest | dg.SkipReason:
        champion = ledger.champion(loop.lake(task))
        served = plan.read(loop.home.serving(task.name))
        if champion is None or (served is not None and served.version == champion.version):
            return dg.SkipReason("the service's plan names the champion")
        if context.instance.get_runs_count(RunsFilter(tags={TASK_TAG: task.name}, statuses=OPEN)):
            return dg.SkipReason("a run of this task is under way")
        tags = {TASK_TAG: task.name, JOB_TAG: "package"}
        failed = context.instance.get_runs_count(RunsFilter(tags=tags, statuses=[dg.DagsterRunStatus.FAILURE]))
        return dg.RunRequest(
            run_key=f"{task.name}/serve-v{champion.version}/{failed}", tags={CAUSE_TAG: "unserved champion"}
        )

    return [new_input, mature_labels, unserved_champion]
