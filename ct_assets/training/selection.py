"""Selecting rows to learn from: mature labels only, nothing known after `as_of`, the newest stretch held out.

"Everything labelled by now" is not a window: where delays vary it picks the early labels, which are not like the rest.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import msgspec
import numpy as np
import polars as pl

from ct_assets.lake.lake import Lake
from ct_assets.training.manifest import Manifest, digest
from feature_defs import duration
from feature_defs.task import Task

SOURCES = ("events", "labels", "labeled_events", "features")


class TrainingRefusedError(ValueError):
    """There is nothing to learn from, or not what the manifest says; the message says why and what to do."""


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """A manifest and its rows: event_id, event_time, label (Int8), the keys of the gates' clusters, the features.

    Both frames are in `(event_time, event_id)` order, which fits are sensitive to.
    """

    manifest: Manifest
    train: pl.DataFrame
    holdout: pl.DataFrame

    def shuffled(self, seed: int) -> "TrainingSet":
        """The same rows with their training labels permuted: what a candidate learns when data is broken upstream."""
        labels = np.random.default_rng(seed).permutation(self.train["label"].to_numpy())
        train = self.train.with_columns(pl.Series("label", labels))
        note = f"training labels shuffled with seed {seed}"
        name = digest(train, self.manifest.digest, note)
        return replace(self, manifest=msgspec.structs.replace(self.manifest, digest=name, alteration=note), train=train)


@dataclass(frozen=True)
class Windows:
    """Event time to train on and to hold out, as of an instant; the holdout ends where labels stop being mature."""

    train_from: datetime
    train_to: datetime
    holdout_to: datetime

    @classmethod
    def of(cls, task: Task, as_of: datetime) -> "Windows":
        """`policy.holdout` up to `as_of - horizon`, and `policy.window` before it."""
        mature = as_of - timedelta(microseconds=task.label.horizon_us)
        split = mature - timedelta(microseconds=duration.microseconds(task.policy.holdout))
        return cls(split - timedelta(microseconds=duration.microseconds(task.policy.window)), split, mature)


def select(lake: Lake, task: Task, as_of: datetime) -> TrainingSet:
    """The newest training set and holdout that `as_of` allows.

    Raises:
        TrainingRefusedError: there are no rows or no positives to learn from, no rows to hold out, or rows whose
            features are not there.
    """
    windows = Windows.of(task, as_of)
    versions = {table: lake.version(table) for table in SOURCES}
    train = _rows(lake, task, windows.train_from, windows.train_to, as_of, versions)
    held_out = _rows(lake, task, windows.train_to, windows.holdout_to, as_of, versions)
    start = lake.read("labeled_events", version=versions["labeled_events"]).select(pl.col("event_time").min()).collect()
    history_from: datetime | None = start.item()
    _refuse_empty(task, as_of, windows, history_from, train, held_out)
    manifest = Manifest(
        task=task.name,
        as_of=as_of,
        window_from=windows.train_from,
        window_to=windows.train_to,
        data_from=train["event_time"][0],
        complete=history_from is not None and history_from <= windows.train_from,
        holdout_from=windows.train_to,
        holdout_to=windows.holdout_to,
        label_cutoff=as_of,
        table_versions=versions,
        feature_hash=task.feature_hash,
        rows=len(train),
        positives=int(train["label"].sum()),
        holdout_rows=len(held_out),
        holdout_positives=int(held_out["label"].sum()),
        digest=digest(train, task.name, as_of, windows.train_from, windows.train_to, task.feature_hash),
    )
    return TrainingSet(manifest, train, held_out)


def load(lake: Lake, task: Task, manifest: Manifest) -> TrainingSet:
    """The rows of a manifest again, from the table versions it names.

    Raises:
        TrainingRefusedError: the rows are not those the manifest was made from, or belong to another feature set.
    """
    if manifest.feature_hash != task.feature_hash:
        raise TrainingRefusedError(
            f"{task.name}: the manifest was made with feature set {manifest.feature_hash}, the task now defines "
            f"{task.feature_hash}; select a training set again"
        )
    versions = manifest.table_versions
    train = _rows(lake, task, manifest.window_from, manifest.window_to, manifest.label_cutoff, versions)
    found = digest(train, task.name, manifest.as_of, manifest.window_from, manifest.window_to, task.feature_hash)
    if manifest.alteration is None and found != manifest.digest:
        raise TrainingRefusedError(
            f"{task.name} as of {_text(manifest.as_of)}: the rows read now have digest {found}, the manifest says "
            f"{manifest.digest}; the tables were rewritten: select a training set again"
        )
    return TrainingSet(
        manifest, train, _rows(lake, task, manifest.holdout_from, manifest.holdout_to, manifest.label_cutoff, versions)
    )


def holdout(lake: Lake, task: Task, as_of: datetime) -> pl.DataFrame:
    """The newest mature stretch of `policy.holdout`, as in a `TrainingSet`; may be empty."""
    windows = Windows.of(task, as_of)
    versions = {table: lake.version(table) for table in SOURCES}
    return _rows(lake, task, windows.train_to, windows.holdout_to, as_of, versions)


def _rows(
    lake: Lake, task: Task, start: datetime, end: datetime, cutoff: datetime, versions: dict[str, int]
) -> pl.DataFrame:
    keys = [entity.key for entity in task.gates.cluster]
    within = (
        pl.col("event_date").is_between(start.date(), end.date())
        & (pl.col("event_time") >= start)
        & (pl.col("event_time") < end)
    )
    labelled = lake.read(
        "labeled_events",
        version=versions["labeled_events"],
        where=within & pl.col("label").is_not_null() & (pl.col("label_available_at") <= cutoff),
        columns=["event_id", "event_time", "label", *keys],
    )
    features = lake.read(
        "features",
        version=versions["features"],
        where=within & (pl.col("feature_hash") == task.feature_hash),
        columns=["event_id", *task.feature_names],
    )
    rows, vectors = pl.collect_all([labelled, features])
    joined = rows.join(vectors, on="event_id", how="inner", validate="1:1")
    if len(joined) < len(rows):
        raise TrainingRefusedError(
            f"{task.name}: {len(rows) - len(joined):,} of {len(rows):,} labelled rows from {_text(start)} to "
            f"{_text(end)} have no features of set {task.feature_hash}; materialize features up to there first"
        )
    return joined.sort("event_time", "event_id")


def _refuse_empty(
    task: Task,
    as_of: datetime,
    windows: Windows,
    history_from: datetime | None,
    train: pl.DataFrame,
    held_out: pl.DataFrame,
) -> None:
    history = "there is no history yet" if history_from is None else f"history begins at {_text(history_from)}"
    about = f"{task.name} as of {_text(as_of)}"
    if train.is_empty():
        raise TrainingRefusedError(
            f"{about}: no row with a mature label from {_text(windows.train_from)} to {_text(windows.train_to)}; "
            f"{history}: wait for labels, or bring more history "
            f"(label horizon {task.label.horizon}, holdout {task.policy.holdout})"
        )
    positives = int(train["label"].sum())
    if positives in (0, len(train)):
        raise TrainingRefusedError(
            f"{about}: {positives:,} of {len(train):,} training rows are positive, a fit needs both classes; "
            "wait for labels, or widen `Policy.window`"
        )
    if held_out.is_empty():
        raise TrainingRefusedError(
            f"{about}: no row with a mature label from {_text(windows.train_to)} to {_text(windows.holdout_to)} "
            f"to judge a candidate on; {history}: wait for labels"
        )


def _text(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M} UTC"
