"""Gradient-boosted trees on XGBoost: fit, predict, save, load. Numbers in, numbers out; no pandas, no pickle.

XGBoost is imported inside functions, by `_library`: it costs half a second that sensors and the code location need not
pay.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ct_assets.learners.files import ModelFile, read_checked
from feature_defs.learner import BoostedTrees

if TYPE_CHECKING:
    import xgboost

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class BoostedTreesModel:
    """A fitted booster and the names of its features, in the order of a vector."""

    booster: "xgboost.Booster"
    feature_names: tuple[str, ...]

    @classmethod
    def fit(
        cls, features: pl.DataFrame, labels: NDArray[np.int8], learner: BoostedTrees, *, weight: Array | None = None
    ) -> "BoostedTreesModel":
        """A model of `labels` (n, 0 or 1) given `features` (n rows, one numeric column per feature, null = unknown).

        Same rows in the same order, seed and threads give the same bytes.

        Raises:
            ValueError: row counts differ, or the labels are not two classes of 0 and 1.
        """
        xgboost = _library()
        if len(features) != len(labels):
            raise ValueError(f"{len(features):,} rows of features, {len(labels):,} labels: take both out of one frame")
        if set(np.unique(labels).tolist()) != {0, 1}:
            raise ValueError(f"labels hold {np.unique(labels).tolist()}; a fit needs rows of both classes, 0 and 1")
        names = features.columns
        # Quantile cuts are taken here, so that `max_bin` must agree with the booster's.
        data = xgboost.QuantileDMatrix(
            matrix(features),
            labels,
            weight=weight,
            feature_names=names,
            max_bin=learner.max_bin,
            nthread=learner.threads,
        )
        booster = xgboost.train(parameters(learner), data, num_boost_round=learner.rounds)
        return cls(booster, tuple(names))

    def predict(self, vectors: Array) -> Array:
        """Probabilities (n,) of class 1 for `vectors` (n, features) in the order of `feature_names`; NaN = unknown.

        Raises:
            ValueError: `vectors` does not have one column per feature.
        """
        if vectors.ndim != 2 or vectors.shape[1] != len(self.feature_names):
            raise ValueError(
                f"vectors have shape {vectors.shape}; this model reads (n, {len(self.feature_names)}): "
                f"{', '.join(self.feature_names)}"
            )
        if len(vectors) == 0:
            return np.empty(0)
        # In place: no DMatrix is built, one row costs about 0.1 ms.
        return np.asarray(self.booster.inplace_predict(vectors), dtype=np.float64)

    def save(self, path: Path) -> ModelFile:
        """Write the booster as UBJ, the names of its features in it, and say what was written."""
        if path.suffix != ".ubj":
            raise ValueError(f"{path}: boosters are saved as UBJ; name the file *.ubj")
        self.booster.save_model(path)
        return ModelFile.of(path)

    @classmethod
    def load(cls, path: Path, sha256: str, *, threads: int = 1) -> "BoostedTreesModel":
        """The model of a file whose digest is known; the bytes that were checked are the bytes that are loaded.

        Raises:
            ModelFileError: the file is missing or has another digest.
        """
        booster = _library().Booster({"nthread": threads})
        booster.load_model(bytearray(read_checked(path, sha256)))
        return cls(booster, tuple(booster.feature_names or ()))

    def importance(self) -> dict[str, float]:
        """Share of the total gain per feature, largest first; features that no tree uses have 0."""
        gain = self.booster.get_score(importance_type="total_gain")
        total = sum(gain.values()) or 1.0
        share = {name: float(gain.get(name, 0.0)) / total for name in self.feature_names}
        return dict(sorted(share.items(), key=lambda item: -item[1]))

    def describe(self) -> dict[str, Any]:
        """What this model is, for people: learner, library, rounds, features and their importance."""
        return {
            "learner": "boosted_trees",
            "library": f"xgboost {_library().__version__}",
            "rounds": self.booster.num_boosted_rounds(),
            "features": list(self.feature_names),
            "importance": self.importance(),
        }


def parameters(learner: BoostedTrees) -> dict[str, Any]:
    """The booster's parameters in XGBoost's words; everything whose default has moved between releases is explicit."""
    return {
        "objective": "binary:logistic",
        "tree_method": "hist",
        "base_score": learner.base_score,
        "max_bin": learner.max_bin,
        "max_depth": learner.max_depth,
        "learning_rate": learner.learning_rate,
        "min_child_weight": learner.min_child_weight,
        "reg_lambda": learner.reg_lambda,
        "num_parallel_tree": learner.parallel_trees,
        "subsample": learner.subsample,
        "colsample_bytree": learner.colsample_bytree,
        "seed": learner.seed,
        "nthread": learner.threads,
    }


def matrix(features: pl.DataFrame) -> Array:
    """`features` as a float64 matrix (rows, columns), null as NaN: the layout of a served vector."""
    return features.select(pl.all().cast(pl.Float64)).to_numpy(order="c")


def _library() -> Any:
    """XGBoost, with threads that sleep while they wait for each other.

    By default they spin, which on a machine with other work takes the cores that they wait for: a fit on two busy cores
    took 72 s instead of 6. The setting is read once, when the library is loaded.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    import xgboost

    return xgboost
