"""The boosted-tree learner: the same bytes each time, what was saved is what is loaded, null is unknown."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ct_assets.learners.boosted_trees import BoostedTreesModel, matrix
from ct_assets.learners.files import ModelFileError
from feature_defs.learner import BoostedTrees

LEARNER = BoostedTrees(rounds=12, max_bin=64, threads=1)


def rows(seed: int = 0, size: int = 2_000) -> tuple[pl.DataFrame, np.ndarray]:
    random = np.random.default_rng(seed)
    amount = random.gamma(2.0, 30.0, size)
    mean = np.where(random.random(size) < 0.3, np.nan, random.random(size))
    features = pl.DataFrame(
        {"amount": amount, "share": pl.Series(mean, nan_to_null=True), "count": random.integers(0, 9, size)}
    )
    chance = 0.05 + 0.6 * (amount > 100) + 0.3 * np.nan_to_num(mean)
    return features, (random.random(size) < chance).astype(np.int8)


@pytest.fixture(scope="module")
def model() -> BoostedTreesModel:
    return BoostedTreesModel.fit(*rows(), LEARNER)


def test_the_same_rows_and_seed_give_the_same_bytes(tmp_path: Path) -> None:
    learner = replace(LEARNER, parallel_trees=2, subsample=0.7, colsample_bytree=0.7)
    files = [BoostedTreesModel.fit(*rows(), learner).save(tmp_path / f"{i}.ubj") for i in range(2)]
    other = BoostedTreesModel.fit(*rows(), replace(learner, seed=1)).save(tmp_path / "other.ubj")
    assert files[0].sha256 == files[1].sha256 != other.sha256


def test_what_was_saved_is_what_is_loaded(model: BoostedTreesModel, tmp_path: Path) -> None:
    file = model.save(tmp_path / "model.ubj")
    assert file.size == file.path.stat().st_size
    loaded = BoostedTreesModel.load(file.path, file.sha256)
    vectors = matrix(rows(1)[0])
    assert loaded.feature_names == ("amount", "share", "count")
    assert loaded.predict(vectors).tobytes() == model.predict(vectors).tobytes()
    assert loaded.save(tmp_path / "again.ubj").sha256 == file.sha256


def test_a_changed_or_missing_file_is_never_loaded(model: BoostedTreesModel, tmp_path: Path) -> None:
    file = model.save(tmp_path / "model.ubj")
    content = bytearray(file.path.read_bytes())
    content[len(content) // 2] ^= 1
    file.path.write_bytes(content)
    with pytest.raises(ModelFileError, match="the ledger says"):
        BoostedTreesModel.load(file.path, file.sha256)
    with pytest.raises(ModelFileError, match="no such model file"):
        BoostedTreesModel.load(tmp_path / "none.ubj", file.sha256)
    with pytest.raises(ValueError, match="UBJ"):
        model.save(tmp_path / "model.pkl")


def test_predictions_are_the_sum_of_the_leaves_a_row_falls_into(model: BoostedTreesModel) -> None:
    vectors = matrix(rows(2, 200)[0])
    trees = [json.loads(tree) for tree in model.booster.get_dump(dump_format="json")]
    margins = [sum(leaf(tree, dict(zip(model.feature_names, row, strict=True))) for tree in trees) for row in vectors]
    # `base_score` 0.5 is a margin of 0.
    expected = 1 / (1 + np.exp(-np.array(margins)))
    np.testing.assert_allclose(model.predict(vectors), expected, rtol=1e-5)


def leaf(node: dict, row: dict[str, float]) -> float:
    while "leaf" not in node:
        value = np.float32(row[node["split"]])
        way = node["missing"] if np.isnan(value) else node["yes" if value < node["split_condition"] else "no"]
        node = next(child for child in node["children"] if child["nodeid"] == way)
    return node["leaf"]


def test_a_row_alone_scores_as_among_others(model: BoostedTreesModel) -> None:
    vectors = matrix(rows(3, 300)[0])
    vectors[0] = np.nan
    alone = np.concatenate([model.predict(row[None]) for row in vectors])
    assert alone.tobytes() == model.predict(vectors).tobytes()
    assert model.predict(vectors[:0]).shape == (0,)


def test_null_and_nan_are_the_same_unknown() -> None:
    frame = pl.DataFrame({"a": [1.0, None, float("nan")], "b": [1, None, 3]})
    np.testing.assert_array_equal(matrix(frame), [[1, 1], [np.nan, np.nan], [np.nan, 3]])


def test_rows_that_cannot_be_learnt_from_are_refused() -> None:
    features, labels = rows()
    with pytest.raises(ValueError, match="both classes"):
        BoostedTreesModel.fit(features, np.zeros_like(labels), LEARNER)
    with pytest.raises(ValueError, match="take both out of one frame"):
        BoostedTreesModel.fit(features, labels[1:], LEARNER)


def test_vectors_of_another_width_are_refused(model: BoostedTreesModel) -> None:
    with pytest.raises(ValueError, match="amount, share, count"):
        model.predict(np.zeros((1, 2)))


def test_a_description_names_every_feature(model: BoostedTreesModel) -> None:
    said = model.describe()
    assert said["rounds"] == LEARNER.rounds
    assert set(said["importance"]) == {"amount", "share", "count"}
    assert sum(said["importance"].values()) == pytest.approx(1)
    assert next(iter(said["importance"])) == "amount"
