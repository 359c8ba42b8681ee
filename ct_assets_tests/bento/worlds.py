"""A small world to serve in: tiny real models, plans, events by the task's own names, a desk and a client."""

import datetime as dt
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import polars as pl
from starlette.applications import Starlette
from starlette.testclient import TestClient

from bento.configuration import Configuration
from bento.desk import Desk
from bento.endpoints import Endpoints
from ct_assets.learners.boosted_trees import BoostedTreesModel
from ct_assets.learners.files import ModelFile
from ct_assets.release import plan as plans
from ct_assets.release.plan import ServingPlan
from ct_assets.settings import Home
from feature_defs.card_fraud import task
from feature_defs.learner import BoostedTrees
from feature_defs.task import Task

START = dt.datetime(2018, 4, 1, tzinfo=dt.UTC)


@cache
def model(seed: int) -> ModelFile:
    """A model of noise: it scores differently for every seed."""
    rng = np.random.default_rng(seed)
    frame = pl.DataFrame({name: rng.normal(2, 2, size=500) for name in task.feature_names})
    labels = (rng.random(500) < 0.3).astype(np.int8)
    fitted = BoostedTreesModel.fit(frame, labels, BoostedTrees(rounds=8, max_depth=3, max_bin=64, seed=seed))
    return fitted.save(Path(mkdtemp(prefix="bento-tests-")) / f"{seed}.ubj")


def plan(version: int, of: Task = task, **changes: Any) -> ServingPlan:
    """A plan that makes `version` champion; its model is that of the seed `version`."""
    fields = {
        "task": of.name,
        "version": version,
        "model": plans.model_path(version),
        "sha256": model(version).sha256,
        "feature_hash": of.feature_hash,
        "feature_names": of.feature_names,
        "threshold": 0.3,
        "decision_id": f"decision-{version}",
        "decided_at": START,
    }
    return ServingPlan(**fields | changes)


def promote(home: Home, version: int) -> None:
    """Publish a plan as a release does."""
    plans.publish(home.serving(task.name), plan(version), model(version).path)


def event(number: int, **changes: Any) -> dict[str, Any]:
    """A payment by the stream's own names; a few customers and terminals, so that windows fill."""
    row = {
        "transaction_id": number,
        "tx_time": (START + dt.timedelta(minutes=37 * number)).isoformat(),
        "customer_id": number % 5,
        "terminal_id": number % 3,
        "amount": round(3.17 * (number % 50), 2),
    }
    return row | changes


def label(number: int, value: int = 1, days: float = 2.0, **changes: Any) -> dict[str, Any]:
    """What is said about the payment `number`, some days after it."""
    known = START + dt.timedelta(minutes=37 * number, days=days)
    return {"transaction_id": number, "label": value, "known_at": known.isoformat()} | changes


def desk(home: Home, packaged: Path | None = None, tokens: tuple[tuple[str, str], ...] = (), of: Task = task) -> Desk:
    """An open desk, as a worker has it."""
    made = Desk(Configuration(home, of, tokens=tokens), packaged)
    made.open()
    return made


def client(of: Desk, host: str = "127.0.0.1") -> TestClient:
    """Calls the endpoints in process; behind them is nothing."""
    return TestClient(Endpoints(of, Starlette()), base_url=f"http://{host}")
