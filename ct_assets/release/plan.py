"""The serving plan: which model answers. Written by a release, read by the service every few seconds.

It is a file beside the model files, so that the service needs neither the lake nor the registry to serve.
"""

from datetime import datetime
from pathlib import Path

import msgspec

from ct_assets.learners.files import read_checked
from ct_assets.release import atomic

FILE = "plan.json"
MODELS = "models"


class ServingPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Who serves. `model` is relative to the folder of the plan; a score of `threshold` or more is a positive decision.

    `feature_hash` and `feature_names` must be those the service computes, else it must not serve this model.
    `decision_id` leads to the promotion in the ledger.
    """

    task: str
    version: int
    model: str
    sha256: str
    feature_hash: str
    feature_names: tuple[str, ...]
    threshold: float
    decision_id: str
    decided_at: datetime


def publish(folder: Path, plan: ServingPlan, model: Path) -> None:
    """Put the model file and then the plan that names it into `folder`. Doing it again changes nothing.

    Raises:
        ModelFileError: `model` is missing or its bytes are not those of `plan.sha256`.
    """
    content = read_checked(model, plan.sha256)
    # First the model: a plan never names a file that is not there yet.
    atomic.write(folder / plan.model, content)
    atomic.write(folder / FILE, msgspec.json.format(msgspec.json.encode(plan), indent=2))


def read(folder: Path) -> ServingPlan | None:
    """The plan in `folder`, None before the first release.

    Raises:
        ValueError: the file is not a plan.
    """
    path = folder / FILE
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        return msgspec.json.decode(content, type=ServingPlan)
    except msgspec.MsgspecError as error:
        raise ValueError(f"{path}: not a serving plan ({error}); release again to write a new one") from error


def model_path(version: int) -> str:
    """Where a version's model file lies in the serving folder."""
    return f"{MODELS}/{version}.ubj"
