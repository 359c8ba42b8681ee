"""A home in which the loop has turned once: small simulated history, version 1 promoted. Real parts throughout."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from ct_assets import instance
from ct_assets.definitions import build_definitions
from ct_assets.lake.lake import Lake
from ct_assets.release.registry import Registry
from ct_assets.resources import LoopHome
from ct_assets.settings import Home
from ct_assets.simulator import payments
from ct_assets.simulator.payments import Simulation
from ct_assets.simulator.world import World
from feature_defs import catalogue
from feature_defs.task import Task

DAYS = 58
SPLIT = 51


@dataclass(frozen=True)
class Turning:
    """A home, its task and a way to run jobs on it."""

    home: Home
    task: Task
    defs: dg.Definitions
    instance: dg.DagsterInstance

    @property
    def lake(self) -> Lake:
        return Lake(self.home.lake(self.task.name), self.task)

    @property
    def loop(self) -> LoopHome:
        return LoopHome(root=str(self.home.root))

    @property
    def registry(self) -> Registry:
        return Registry(self.home.mlflow_db, self.home.mlflow_artifacts)

    def run(self, job: str, config: dict | None = None, **tags: str) -> dg.ExecuteInProcessResult:
        definition = self.defs.resolve_job_def(f"{self.task.name}_{job}")
        return definition.execute_in_process(
            instance=self.instance, run_config=config or {}, tags=tags, raise_on_error=False
        )

    def materialize(self, *assets: str, checks: bool = True) -> dg.ExecuteInProcessResult:
        """An ad hoc run of some assets, as from the UI."""
        selection = dg.AssetSelection.assets(*([self.task.name, asset] for asset in assets))
        if not checks:
            selection = selection.without_checks()
        job = dg.define_asset_job("ad_hoc", selection)
        merged = dg.Definitions.merge(self.defs, dg.Definitions(jobs=[job]))
        return merged.resolve_job_def("ad_hoc").execute_in_process(instance=self.instance, raise_on_error=False)

    def offer(self, stream: str, name: str, frame: pl.DataFrame) -> Path:
        folder = self.home.inbox(self.task.name) / stream
        folder.mkdir(parents=True, exist_ok=True)
        frame.write_parquet(folder / name)
        return folder / name


@dataclass(frozen=True)
class World58:
    """Simulated events and label statements, cut by what is known at an instant."""

    events: pl.DataFrame
    labels: pl.DataFrame
    start: datetime

    def between(self, first: int, last: int) -> tuple[pl.DataFrame, pl.DataFrame]:
        begin, end = (self.start + timedelta(days=day) for day in (first, last))
        return (
            self.events.filter(pl.col("tx_time").is_between(begin, end, closed="left")),
            self.labels.filter(pl.col("label_time").is_between(begin, end, closed="left")),
        )


@pytest.fixture(scope="session")
def small_world() -> World58:
    found = payments.simulate(Simulation(seed=3, days=DAYS, world=World(customers=500, terminals=600)))
    events = found.events.select("transaction_id", "tx_time", "customer_id", "terminal_id", "amount")
    return World58(events, found.labels, events["tx_time"].min().replace(hour=0, minute=0, second=0, microsecond=0))


@pytest.fixture(scope="module")
def turning(tmp_path_factory: pytest.TempPathFactory, small_world: World58) -> Iterator[Turning]:
    """Version 1 trained and promoted on the first 51 days; nothing else offered yet."""
    home = Home(tmp_path_factory.mktemp("home"))
    task = catalogue.load("card_fraud")
    task = replace(task, policy=replace(task.policy, volume=500))
    with pytest.MonkeyPatch.context() as patch:
        for name in ("CT_HOME", "DAGSTER_HOME", "BENTOML_HOME"):
            patch.setenv(name, "to be set")
        found = instance.get(home)
        turning = Turning(home, task, build_definitions(home, [task]), found)
        events, labels = small_world.between(0, SPLIT)
        turning.offer("events", "history.parquet", events)
        turning.offer("labels", "history.parquet", labels)
        result = turning.run("retrain")
        assert result.success
        yield turning
        found.dispose()
