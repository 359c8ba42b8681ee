"""Jobs of a task: which assets a run materializes. When runs start is decided in `sensors` and `schedules`."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import dagster as dg

from ct_assets.assets.keys import INGEST, JOB_TAG, LEARNING, RELEASE, SERVED, TASK_TAG, key
from feature_defs.task import Task

if TYPE_CHECKING:
    # Dagster returns this type from `define_asset_job` but does not export it.
    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition


@dataclass(frozen=True)
class Jobs:
    """The jobs of one task."""

    ingest: "UnresolvedAssetJobDefinition"
    retrain: "UnresolvedAssetJobDefinition"
    evaluate: "UnresolvedAssetJobDefinition"
    package: "UnresolvedAssetJobDefinition"

    def __iter__(self) -> "Iterator[UnresolvedAssetJobDefinition]":
        """All of them."""
        return iter((self.ingest, self.retrain, self.evaluate, self.package))


def task_jobs(task: Task) -> Jobs:
    """The four jobs of `task`. Checks come along with the assets they guard."""

    def job(name: str, assets: tuple[str, ...], description: str) -> "UnresolvedAssetJobDefinition":
        return dg.define_asset_job(
            f"{task.name}_{name}",
            dg.AssetSelection.assets(*(key(task, asset) for asset in assets)),
            description=description,
            tags={TASK_TAG: task.name, JOB_TAG: name},
        )

    return Jobs(
        ingest=job(
            "ingest",
            (*INGEST, *SERVED),
            "Take in files and the service's journal; bring labels, features and predictions up to date.",
        ),
        # One run from the data to the release: a blocking check holds within its own run only.
        retrain=job(
            "retrain",
            (*INGEST, *LEARNING, *RELEASE),
            "Once around: data in, training set, candidate, evaluation, release, Bento.",
        ),
        evaluate=job(
            "evaluate",
            ("evaluation", *RELEASE),
            "Judge an existing version (config `version`) and release it if every gate passes.",
        ),
        package=job("package", ("bento",), "Build the champion's Bento and point the service at it."),
    )
