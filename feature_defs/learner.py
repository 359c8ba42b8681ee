"""What kind of model a task trains, as data. Fitting lives in `ct_assets.learners`."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class BoostedTrees:
    """Gradient-boosted trees on histograms.

    The defaults keep rare tails apart (`max_bin`) and start from an even score (`base_score`): with XGBoost 3.2's own
    defaults a fraud model loses 0.08 of average precision. `parallel_trees` are grown in each round on samples of
    their own (`subsample`) and averaged.
    """

    rounds: int = 100
    parallel_trees: int = 1
    max_depth: int = 4
    learning_rate: float = 0.1
    max_bin: int = 4096
    base_score: float = 0.5
    min_child_weight: float = 1.0
    reg_lambda: float = 1.0
    subsample: float = 1.0
    colsample_bytree: float = 1.0
    seed: int = 0
    threads: int = 2
