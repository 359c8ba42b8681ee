"""The contract of a model: what must hold whatever its quality. Each broken rule is named in the verdict.

A model here is anything that predicts, saves and loads like `ct_assets.learners.boosted_trees`.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter_ns
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ct_assets.gates.verdict import Verdict
from ct_assets.learners.files import ModelFile, ModelFileError

NAME = "contract"

Array = NDArray[np.float64]

# Single-row predictions timed; the median is compared, since a shared machine stalls now and then.
TIMED_ROWS = 200

# The largest finite float32, in which boosters compare.
EXTREME = float(np.finfo(np.float32).max)


class Model(Protocol):
    """What the contract is about."""

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Columns of a vector, in order."""

    def predict(self, vectors: Array) -> Array:
        """Probabilities (n,) for vectors (n, features), NaN = unknown."""


def model_contract(
    file: ModelFile,
    load: Callable[[Path, str], Model],
    *,
    feature_names: Sequence[str],
    holdout: Array,
    max_bytes: int,
    max_row_us: float,
) -> Verdict:
    """Does the saved model read the task's vector, answer finitely on any input, reload alike, and stay small and fast?

    `file` is loaded twice by `load`: what is judged is what would be served. `holdout` is (n, features), NaN = unknown.
    """
    rules: list[str] = []
    sample: dict[str, object] = {"rows": len(holdout), "bytes": file.size, "sha256": file.sha256}
    if file.size > max_bytes:
        rules.append(f"size: {file.size:,} bytes, at most {max_bytes:,}")
    try:
        model, again = load(file.path, file.sha256), load(file.path, file.sha256)
    except ModelFileError as error:
        return _verdict([*rules, f"file: {error}"], sample)
    if model.feature_names != tuple(feature_names):
        rules.append(_names(model.feature_names, feature_names))
        return _verdict(rules, sample)
    rows = np.vstack([holdout, edge_rows(len(feature_names))])
    scores = model.predict(rows)
    if scores.shape != (len(rows),):
        rules.append(f"shape: {scores.shape} scores for {len(rows):,} rows")
        return _verdict(rules, sample)
    bad = ~((scores >= 0) & (scores <= 1))
    if bad.any():
        rules.append(f"probability: {int(bad.sum()):,} of {len(rows):,} scores are not finite within [0, 1]")
    if scores.tobytes() != again.predict(rows).tobytes():
        rules.append("deterministic: loading the file twice gave other scores on the same rows")
    timed = rows[-TIMED_ROWS:]
    single, row_us = one_by_one(model, timed)
    if single.tobytes() != scores[-TIMED_ROWS:].tobytes():
        rules.append("deterministic: a row alone scores otherwise than among others")
    sample["row_us"] = row_us
    if row_us > max_row_us:
        rules.append(f"latency: {row_us:,.0f} us per row (median), at most {max_row_us:,.0f}")
    return _verdict(rules, sample)


def edge_rows(width: int) -> Array:
    """Rows no holdout has: nothing known, and all zero, hugely negative or hugely positive."""
    return np.repeat([[np.nan], [0.0], [-EXTREME], [EXTREME]], width, axis=1)


def one_by_one(model: Model, rows: Array) -> tuple[Array, float]:
    """Scores of `rows` (n, features) predicted singly, and the median microseconds that one took."""
    # The first prediction after loading builds caches; a server warms up before it takes traffic.
    model.predict(rows[:1])
    scores, nanoseconds = np.empty(len(rows)), np.empty(len(rows))
    for i in range(len(rows)):
        start = perf_counter_ns()
        scores[i] = model.predict(rows[i : i + 1])[0]
        nanoseconds[i] = perf_counter_ns() - start
    return scores, float(np.median(nanoseconds)) / 1_000


def _names(found: Sequence[str], expected: Sequence[str]) -> str:
    missing, unknown = sorted(set(expected) - set(found)), sorted(set(found) - set(expected))
    if missing or unknown:
        return f"features: the model lacks {missing} and reads {unknown}, which the task does not define"
    return f"features: the model reads them in another order than the task: {', '.join(found)}"


def _verdict(rules: list[str], sample: dict[str, object]) -> Verdict:
    return Verdict(
        name=NAME,
        outcome="fail" if rules else "pass",
        estimate=float(len(rules)),
        margin=0.0,
        sample=sample,
        method="number of broken rules: file, size, features, probability, deterministic, latency",
        detail="; ".join(rules) if rules else "all rules hold",
    )
