"""Names of the assets of a task and the tags of its runs, for all who refer to them."""

import dagster as dg

from feature_defs.task import Task

INGEST = ("events", "labels", "labeled_events", "features", "entity_state", "online_store")
SERVED = ("predictions", "skew")
LEARNING = ("training_set", "candidate", "evaluation")
RELEASE = ("release", "bento")

TASK_TAG = "ct/task"
JOB_TAG = "ct/job"
CAUSE_TAG = "ct/cause"
AFTER_TAG = "ct/after"
OCCASION_TAG = "ct/occasion"
EVIDENCE_TAG = "ct/evidence/"

OWNERS = ["team:ml"]

# A crash of the machine's making (a full disk, a lock) deserves a second look; a refusal says so and is final.
RETRY = dg.RetryPolicy(max_retries=2, delay=2, backoff=dg.Backoff.EXPONENTIAL)


def key(task: Task, asset: str) -> dg.AssetKey:
    """The key of an asset: task first."""
    return dg.AssetKey([task.name, asset])


def lake_pool(task: Task) -> str:
    """One run at a time takes data in."""
    return f"{task.name}_lake"


def train_pool(task: Task) -> str:
    """One run at a time retrains and releases."""
    return f"{task.name}_train"
