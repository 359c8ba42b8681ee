"""A Bento of a promoted version: the service, the definitions and the model by exact tag, ready to be served elsewhere.

How the service answers is in `bento`, which travels as files and is never imported here.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from ct_assets import telemetry
from ct_assets.release import plan as plans
from ct_assets.release.plan import ServingPlan
from ct_assets.settings import Home

PROJECT = Path(__file__).parents[2]
LOCK = "requirements.lock"

# What the service imports, and nothing of the loop around it.
CARRIED = (
    "bento",
    "feature_defs",
    "ct_assets/__init__.py",
    "ct_assets/settings.py",
    "ct_assets/telemetry.py",
    "ct_assets/learners",
    "ct_assets/release/__init__.py",
    "ct_assets/release/atomic.py",
    "ct_assets/release/plan.py",
)

DISTRIBUTIONS = ("bentoml", "httptools", "lmdb", "msgspec", "numba", "numpy", "polars", "uvloop", "xgboost")
"""What CARRIED imports, and what makes Uvicorn quick; what these need in turn is read from the installation."""

SECONDS = 300
"""Longest time for a build or a probe; a first start compiles the feature kernels."""

_PIN = re.compile(r"^([A-Za-z0-9._-]+)==\S+(?: ; .*?)?(?= \\$|$)", re.MULTILINE)


class PackagingError(RuntimeError):
    """A Bento could not be built, or does not answer; the message holds what the tools said."""


def build(home: Home, plan: ServingPlan, model: Path) -> str:
    """Build the Bento of `plan` around the file `model`, ask it for one prediction, and return its tag.

    A tag such as `card-fraud:2` names one model for good: building it again returns it unchanged. A build that was
    interrupted leaves nothing that a later one would take for whole.

    Raises:
        ModelFileError: `model` is missing or its bytes are not those of `plan.sha256`.
        PackagingError: the build failed, the Bento does not answer, or the tag names another model.
    """
    name = plan.task.replace("_", "-")
    tag = f"{name}:{plan.version}"
    proof = home.bentoml / "probed" / f"{name}-{plan.version}.json"
    if proof.exists():
        if (known := json.loads(proof.read_bytes())["sha256"]) != plan.sha256:
            raise PackagingError(f"{tag} carries the model {known}, not {plan.sha256}: a version never changes")
        return tag
    bento = home.bentoml / "bentos" / name / str(plan.version) / "src"
    for store in ("bentos", "models"):
        shutil.rmtree(home.bentoml / store / name / str(plan.version), ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="bento-") as folder:
        staging = Path(folder)
        _store_model(home, tag, plan, model)
        _stage(staging, tag, plan)
        _keep_kernels(staging, bento)
        arguments = ["bentoml", "build", str(staging), "--version", str(plan.version), "--output", "tag"]
        _run(arguments, staging, home, plan)
    answer = _run(["bento.probe"], bento, home, plan)
    said = json.loads(answer.splitlines()[-1])
    if said["version"] != plan.version or said["feature_hash"] != plan.feature_hash:
        raise PackagingError(f"{tag} answers as version {said['version']} of feature set {said['feature_hash']}")
    proof.parent.mkdir(parents=True, exist_ok=True)
    proof.write_text(json.dumps({"tag": tag, "sha256": plan.sha256, "answer": said}))
    return tag


def requirements(lock: str) -> str:
    """The pins of `lock` that the service needs, one a line, without hashes."""
    wanted = set(_closure(DISTRIBUTIONS))
    return "".join(f"{match[0]}\n" for match in _PIN.finditer(lock) if _normal(match[1]) in wanted)


def _store_model(home: Home, tag: str, plan: ServingPlan, model: Path) -> None:
    telemetry.off()
    import bentoml
    from bentoml._internal.models import ModelStore

    store = home.bentoml / "models"
    store.mkdir(parents=True, exist_ok=True)
    metadata = {"sha256": plan.sha256, "feature_hash": plan.feature_hash, "decision_id": plan.decision_id}
    with bentoml.models.create(tag, metadata=metadata, _model_store=ModelStore(store)) as stored:
        # A model of the store is a serving folder: the service reads it as it reads the home's.
        plans.publish(Path(stored.path), plan, model)


def _stage(staging: Path, tag: str, plan: ServingPlan) -> None:
    if not (PROJECT / LOCK).exists():
        raise PackagingError(f"{PROJECT / LOCK} is missing: build Bentos from a checkout, where the lock is")
    for part in CARRIED:
        source, target = PROJECT / part, staging / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("*.pyc"))
        else:
            shutil.copy2(source, target)
    shutil.copy2(PROJECT / LOCK, staging / LOCK)
    (staging / "requirements.txt").write_text(requirements((PROJECT / LOCK).read_text()))
    (staging / "bento" / "package.json").write_text(json.dumps({"task": plan.task, "model": tag}))
    recipe = {
        "service": "bento.service:Scorer",
        "name": tag.partition(":")[0],
        "include": ["*"],
        "labels": {"task": plan.task, "version": str(plan.version), "decision": plan.decision_id},
        "python": {"requirements_txt": "requirements.txt", "lock_packages": False, "pip_args": "--no-deps"},
    }
    (staging / "bentofile.yaml").write_text(json.dumps(recipe, indent=2))


def _keep_kernels(staging: Path, bento: Path) -> None:
    """Let compiled kernels travel along: compiling them takes half a minute, which a first start need not wait for.

    Numba checks that source and processor agree; only the name of the folder tells where the source was.
    """
    from numba.core.caching import UserProvidedCacheLocator

    folder = Path("feature_defs/engine/compiled")
    made, wanted = (
        UserProvidedCacheLocator.get_suitable_cache_subpath(str(root / folder / "kernel.py"))
        for root in (PROJECT, bento)
    )
    for cache in (staging / folder / "__pycache__").glob(f"*/{made}"):
        cache.rename(cache.with_name(wanted))


def _run(arguments: list[str], folder: Path, home: Home, plan: ServingPlan) -> str:
    """A Python module in a process of its own, which sees the packages in `folder` before any installed ones."""
    telemetry.off()
    environment = os.environ | {
        "BENTOML_HOME": str(home.bentoml),
        "CT_TASK": plan.task,
        "CT_TOKENS": "",
        "PYTHONPATH": str(folder),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = [sys.executable, "-m", *arguments]
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired as late:
        raise PackagingError(f"{' '.join(arguments)} took more than {SECONDS} s: {late.output}") from late
    if done.returncode != 0:
        raise PackagingError(f"{' '.join(arguments)} ended with {done.returncode}: {done.stderr[-2000:]}")
    return done.stdout


def _closure(names: tuple[str, ...]) -> Iterator[str]:
    """Normal names of the installed distributions that `names` need, themselves included."""
    from packaging.requirements import Requirement

    waiting, seen = [_normal(name) for name in names], set[str]()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        try:
            needs = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            # Left out of the lock on purpose, or for another platform: then it is not needed here either.
            continue
        yield name
        for line in needs:
            need = Requirement(line)
            if need.marker is None or need.marker.evaluate({"extra": ""}):
                waiting.append(_normal(need.name))


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
