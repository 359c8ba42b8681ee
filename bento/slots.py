"""Model slots: who answers now. A slot never changes; a new champion is one assignment of another slot.

Which version is champion is decided in `ct_assets.release` and read here from its plan; how a model predicts is in
`ct_assets.learners`.
"""

import logging
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from ct_assets.learners.boosted_trees import BoostedTreesModel
from ct_assets.release import plan as plans
from ct_assets.release.plan import ServingPlan
from feature_defs.engine.records import Scored
from feature_defs.task import Task

logger = logging.getLogger("bento")


@dataclass(frozen=True, eq=False)
class ModelSlot:
    """A model that was checked, loaded and warmed. `source` is the folder whose plan named it."""

    plan: ServingPlan
    model: BoostedTreesModel
    source: Path
    role: str = "champion"
    loaded_at: float = field(default_factory=time.monotonic)

    @property
    def version(self) -> int:
        """The version that answers."""
        return self.plan.version

    def score(self, vectors: npt.NDArray[np.float64]) -> list[Scored]:
        """What the model makes of `vectors` (n, features; NaN = unknown), in their order.

        Raises:
            RuntimeError: the model fails; a fault of this service, never of the request.
        """
        plan = self.plan
        try:
            scores = self.model.predict(vectors).tolist()
        except ValueError as wrong:
            raise RuntimeError(f"version {plan.version} cannot score: {wrong}") from wrong
        return [
            Scored(score=score, decision=score >= plan.threshold, version=plan.version, role=self.role)
            for score in scores
        ]


class SlotError(ValueError):
    """A plan names a model that must not serve here."""


@dataclass(frozen=True)
class Refused:
    """A plan that was not taken up, and why. `since` is on the monotonic clock, in seconds."""

    reason: str
    since: float


class Slots:
    """The champion's slot of one worker, kept up to date with the plan in `folder`.

    Without any plan there, the model that `packaged` carries (a folder of the same form) answers.
    """

    def __init__(self, task: Task, folder: Path, packaged: Path | None = None) -> None:
        self.task = task
        self.folder = folder
        self.packaged = packaged
        self.champion: ModelSlot | None = None
        self.refused: Refused | None = None

    def refresh(self) -> None:
        """Read the plan; when it names another model, load, check and warm it beside the old one, then swap.

        A plan that cannot be taken up leaves everything as it is and its reason in `refused`; the next call tries
        again. Not for two threads at once.
        """
        try:
            found = self._wanted()
            if found is not None:
                folder, plan = found
                if self.champion is None or self.champion.plan != plan or self.champion.source != folder:
                    self.champion = load(self.task, folder, plan)
                    logger.info("Version %s answers as champion", plan.version)
        except (OSError, ValueError) as wrong:
            reason = str(wrong)
            if self.refused is None or self.refused.reason != reason:
                logger.error("The plan was not taken up: %s", reason)
                self.refused = Refused(reason, time.monotonic())
        else:
            self.refused = None

    def describe(self) -> dict[str, Any]:
        """The slots as JSON-ready data; ages in seconds."""
        now = time.monotonic()
        champion, refused = self.champion, self.refused
        return {
            "champion": None
            if champion is None
            else {
                **msgspec.to_builtins(champion.plan),
                "role": champion.role,
                "packaged": champion.source != self.folder,
                "serving_seconds": round(now - champion.loaded_at, 3),
            },
            "refused": None
            if refused is None
            else {"reason": refused.reason, "refused_seconds": round(now - refused.since, 3)},
        }

    def _wanted(self) -> tuple[Path, ServingPlan] | None:
        for folder in (self.folder, self.packaged):
            if folder is not None and (plan := plans.read(folder)) is not None:
                return folder, plan
        return None


def load(task: Task, folder: Path, plan: ServingPlan) -> ModelSlot:
    """A slot with the model that `plan` names, ready to answer at full speed.

    Raises:
        SlotError: the model is for another task or other features, lies elsewhere, or does not give probabilities.
        ModelFileError: its file is missing or its digest is another one.
    """
    if plan.task != task.name:
        raise SlotError(f"version {plan.version} is of task {plan.task}, this service answers for {task.name}")
    if plan.feature_hash != task.feature_hash or plan.feature_names != task.feature_names:
        raise SlotError(
            f"version {plan.version} reads feature set {plan.feature_hash}, this service computes {task.feature_hash}: "
            "start it with the definitions of that version, or promote a version trained on these"
        )
    path = (folder / plan.model).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise SlotError(f"version {plan.version} lies at {plan.model}, outside of the serving folder; promote it again")
    model = BoostedTreesModel.load(path, plan.sha256)
    if model.feature_names != task.feature_names:
        raise SlotError(
            f"version {plan.version}: the file's features are {', '.join(model.feature_names)}; "
            f"the task's are {', '.join(task.feature_names)}"
        )
    slot = ModelSlot(plan, model, folder)
    # The first prediction of a booster builds what later ones use, several times as slow: not while somebody waits.
    warm_up = np.full((2, len(task.feature_names)), np.nan)
    warm_up[1] = 0.0
    scores = [scored.score for scored in slot.score(warm_up)]
    if not all(0.0 <= score <= 1.0 for score in scores):
        raise SlotError(f"version {plan.version} gives {scores} for an empty and a zero vector, not probabilities")
    return slot
