"""Sensors: what starts runs unattended. Each asks a plain function and turns its answer into a run request.

No thresholds here (the task's policy has them) and no heavy imports: a tick must stay cheap.
"""

from collections.abc import Mapping

import dagster as dg
from dagster import RunsFilter

from ct_assets import intake, triggers
from ct_assets.assets.keys import AFTER_TAG, CAUSE_TAG, EVIDENCE_TAG, JOB_TAG, OCCASION_TAG, TASK_TAG
from ct_assets.jobs import Jobs
from ct_assets.release import ledger, plan
from ct_assets.resources import LoopHome
from feature_defs.task import Task

# A run that fails three times on one occasion needs a person; the sensor says so and waits for the next occasion.
MAX_ATTEMPTS = 3

OPEN = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def request(
    instance: dg.DagsterInstance,
    task: Task,
    job: str,
    occasion: str,
    cause: str,
    tags: Mapping[str, str] | None = None,
) -> dg.RunRequest | dg.SkipReason:
    """A run of `job` for `occasion`, unless one is open or it failed too often.

    The run key names the occasion and the attempt: a repeated tick starts nothing, a failed run is tried again
    (Dagster itself never relaunches a run key).
    """
    mine = {TASK_TAG: task.name, JOB_TAG: job}
    if instance.get_runs_count(RunsFilter(tags=mine, statuses=OPEN)):
        return dg.SkipReason(f"{cause}: a run of {job} for {task.name} is already under way")
    ended = [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
    failed = instance.get_runs_count(RunsFilter(tags=mine | {OCCASION_TAG: occasion}, statuses=ended))
    if failed >= MAX_ATTEMPTS:
        return dg.SkipReason(f"{cause}: {failed} runs of {job} {occasion} failed; look at them, then start one by hand")
    return dg.RunRequest(
        run_key=f"{task.name}/{job}/{occasion}/attempt-{failed + 1}",
        tags={**mine, OCCASION_TAG: occasion, CAUSE_TAG: cause, **(tags or {})},
    )


def retrain(instance: dg.DagsterInstance, task: Task, trigger: triggers.Trigger) -> dg.RunRequest | dg.SkipReason:
    """A retrain for `trigger`. Two triggers of one standing are one occasion."""
    evidence = {f"{EVIDENCE_TAG}{name}": str(value) for name, value in trigger.evidence.items()}
    tags = {AFTER_TAG: str(trigger.after), **evidence}
    return request(instance, task, "retrain", f"after-v{trigger.after}", trigger.cause, tags)


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
        return request(context.instance, task, "ingest", f"of-{waiting.fingerprint}", "new input")

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
        return retrain(context.instance, task, trigger)

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
        if context.instance.get_runs_count(RunsFilter(tags={TASK_TAG: task.name, JOB_TAG: "retrain"}, statuses=OPEN)):
            return dg.SkipReason("a retrain is under way; it will package what it promotes")
        return request(context.instance, task, "package", f"serve-v{champion.version}", "unserved champion")

    return [new_input, mature_labels, unserved_champion]
