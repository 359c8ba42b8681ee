"""The contract of a model: each rule broken alone is named."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ct_assets.gates.contract import model_contract
from ct_assets.gates.verdict import Verdict
from ct_assets.learners.boosted_trees import BoostedTreesModel
from ct_assets.learners.files import ModelFile
from feature_defs.learner import BoostedTrees

NAMES = ("amount", "share")


@dataclass(frozen=True)
class Formula:
    """A model made of one function, for what no booster does."""

    function: Callable[[np.ndarray], np.ndarray]
    feature_names: tuple[str, ...] = NAMES

    def predict(self, vectors: np.ndarray) -> np.ndarray:
        return self.function(vectors)


@pytest.fixture
def file(tmp_path: Path) -> ModelFile:
    random = np.random.default_rng(0)
    frame = pl.DataFrame({name: random.random(500) for name in NAMES})
    labels = (frame["amount"].to_numpy() > 0.7).astype(np.int8)
    return BoostedTreesModel.fit(frame, labels, BoostedTrees(rounds=5, max_bin=16)).save(tmp_path / "model.ubj")


def judge(file: ModelFile, model: Formula | None = None, **changes: object) -> Verdict:
    settings = {"feature_names": NAMES, "holdout": np.random.default_rng(1).random((300, 2)), "max_bytes": 10**6}
    load = BoostedTreesModel.load if model is None else lambda path, sha256: model
    return model_contract(file, load, **{**settings, "max_row_us": 1e9, **changes})  # type: ignore[arg-type]


def test_a_booster_keeps_the_contract(file: ModelFile) -> None:
    verdict = judge(file)
    assert (verdict.outcome, verdict.estimate, verdict.detail) == ("pass", 0.0, "all rules hold")
    assert verdict.sample["sha256"] == file.sha256


def test_an_empty_holdout_still_leaves_the_edge_rows(file: ModelFile) -> None:
    assert judge(file, holdout=np.empty((0, 2))).passed


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"feature_names": ("share", "amount")}, "another order"),
        ({"feature_names": ("amount", "other")}, r"lacks \['other'\] and reads \['share'\]"),
        ({"max_bytes": 10}, "size"),
        ({"max_row_us": 0.0}, "latency"),
    ],
)
def test_each_broken_rule_is_named(file: ModelFile, changes: dict[str, object], rule: str) -> None:
    verdict = judge(file, **changes)
    assert verdict.outcome == "fail"
    with pytest.raises(AssertionError, match=rule):
        raise AssertionError(verdict.detail)


def test_a_changed_file_fails(file: ModelFile) -> None:
    file.path.write_bytes(file.path.read_bytes()[:-10])
    assert "file: " in judge(file).detail


def test_scores_off_the_scale_fail(file: ModelFile) -> None:
    # Finite on every row of the holdout; the row of nulls and the extreme ones give it away.
    verdict = judge(file, Formula(lambda vectors: vectors[:, 0]))
    assert "3 of 304 scores are not finite within [0, 1]" in verdict.detail


def test_scores_that_depend_on_the_company_fail(file: ModelFile) -> None:
    verdict = judge(file, Formula(lambda vectors: np.full(len(vectors), 1 / len(vectors))))
    assert "a row alone scores otherwise" in verdict.detail


def test_scores_that_change_from_load_to_load_fail(file: ModelFile) -> None:
    random = np.random.default_rng(0)
    verdict = judge(file, Formula(lambda vectors: random.random(len(vectors))))
    assert "loading the file twice" in verdict.detail


def test_one_score_per_row_or_none(file: ModelFile) -> None:
    assert "shape" in judge(file, Formula(lambda vectors: vectors)).detail
