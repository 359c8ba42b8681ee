"""How the learner's parameters of `card_fraud` are chosen: on rolling weeks that end before the published split begins.

    python -m benchmarks.handbook_parameters [--quick] [--json FILE] [--data FILE]

Each fold is the handbook's split moved back by whole weeks; the newest test week ends where the published training week
begins. The rule: of all candidates whose mean average precision is within `TOLERANCE` of the best, the cheapest.
`--quick` tries three candidates on two folds, to see that it runs.
"""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import process_time
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks import _handbook as handbook
from ct_assets.gates import metrics
from ct_assets.learners.boosted_trees import BoostedTreesModel
from feature_defs.card_fraud import task
from feature_defs.learner import BoostedTrees

# Weeks before the published training week at which a fold's training week begins: test weeks do not overlap it.
FOLDS = (3, 4, 5, 6, 7, 8)

# A difference in mean average precision that the folds cannot tell from none.
TOLERANCE = 0.002

_ONE = BoostedTrees(seed=0)
_TWO = replace(_ONE, parallel_trees=2, subsample=0.8)
_FOUR = replace(_ONE, parallel_trees=4, subsample=0.8)

CANDIDATES = (
    _ONE,
    _TWO,
    _FOUR,
    replace(_ONE, max_depth=3, rounds=200),
    replace(_ONE, max_depth=6),
    replace(_ONE, learning_rate=0.05, rounds=200),
    replace(_ONE, rounds=200),
    replace(_ONE, min_child_weight=2),
    replace(_ONE, min_child_weight=10),
    replace(_ONE, reg_lambda=10),
    replace(_ONE, subsample=0.8),
    replace(_ONE, max_bin=256),
    replace(_TWO, subsample=0.6),
    replace(_TWO, min_child_weight=2),
    replace(_TWO, max_depth=5),
    replace(_FOUR, subsample=0.6),
    replace(_FOUR, subsample=0.6, max_depth=5),
    replace(_FOUR, subsample=0.6, rounds=150),
)


@dataclass(frozen=True)
class Trial:
    """A candidate's average precision per fold, its mean logloss, and the CPU seconds that all its fits took."""

    learner: BoostedTrees
    folds: tuple[float, ...]
    logloss: float
    seconds: float

    @property
    def mean(self) -> float:
        """Mean average precision over the folds."""
        return float(np.mean(self.folds))

    @property
    def cost(self) -> int:
        """Leaves at most: what training, serving and storing grow with."""
        return self.learner.rounds * self.learner.parallel_trees * (1 << self.learner.max_depth)

    @property
    def name(self) -> str:
        """What differs from the learner's defaults."""
        base = asdict(BoostedTrees())
        changed = {name: value for name, value in asdict(self.learner).items() if value != base[name]}
        return ", ".join(f"{name}={value}" for name, value in changed.items()) or "defaults of ours"


def run(data: handbook.Payments, learner: BoostedTrees, folds: tuple[int, ...]) -> Trial:
    """Fit and score `learner` on each fold."""
    found, losses, started = [], [], process_time()
    for back in folds:
        train, test = handbook.split(data, handbook.PUBLISHED - back * handbook.WEEK)
        model = BoostedTreesModel.fit(data.vectors.filter(train), data.labels[train], learner)
        vectors, labels = data.subset(test)
        scores = model.predict(vectors)
        found.append(metrics.average_precision(labels, scores))
        losses.append(metrics.logloss(labels, scores))
    return Trial(learner, tuple(found), float(np.mean(losses)), process_time() - started)


def choose(trials: list[Trial]) -> Trial:
    """The cheapest of those within `TOLERANCE` of the best; of equally cheap ones, the better."""
    best = max(trial.mean for trial in trials)
    return min(
        (trial for trial in trials if trial.mean >= best - TOLERANCE), key=lambda trial: (trial.cost, -trial.mean)
    )


def main(
    quick: Annotated[bool, typer.Option("--quick", help="Three candidates on two folds.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the numbers to this file.")] = None,
    data_file: Annotated[Path | None, typer.Option("--data", help="The card file.")] = None,
) -> None:
    """Print every candidate, best first, and the one the rule takes."""
    console = Console()
    try:
        path = handbook.locate(data_file)
    except handbook.MissingDataError as missing:
        console.print(f"skipped: {missing}")
        if json_file:
            json_file.write_text(json.dumps({"benchmark": "handbook_parameters", "skipped": str(missing)}))
        return
    folds, candidates = (FOLDS[:2], CANDIDATES[:3]) if quick else (FOLDS, CANDIDATES)
    # Nothing of the published split is read, its training week included.
    data = handbook.payments(path, handbook.PUBLISHED - max(folds) * handbook.WEEK, handbook.PUBLISHED)
    trials = [run(data, learner, folds) for learner in track(candidates, "fitting", console=console)]
    chosen = choose(trials)
    table = Table(title=f"Average precision on {len(folds)} weeks before {handbook.PUBLISHED:%Y-%m-%d}")
    for name in ("learner", "mean", "lowest", "logloss", "CPU s"):
        table.add_column(name, justify="left" if name == "learner" else "right")
    for trial in sorted(trials, key=lambda trial: -trial.mean):
        table.add_row(
            trial.name,
            f"{trial.mean:.4f}",
            f"{min(trial.folds):.3f}",
            f"{trial.logloss:.5f}",
            f"{trial.seconds:.1f}",
            style="bold" if trial is chosen else None,
        )
    console.print(table)
    console.print(f"chosen: {chosen.name}; card_fraud has: {Trial(task.learner, (), 0, 0).name}")
    if json_file:
        rows = [asdict(trial) | {"mean": trial.mean, "chosen": trial is chosen} for trial in trials]
        json_file.write_text(json.dumps({"benchmark": "handbook_parameters", "quick": quick, "trials": rows}, indent=2))


if __name__ == "__main__":
    typer.run(main)
