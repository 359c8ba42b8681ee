"""`ct up` as people run it: all processes, a real browser, and kill -9 of whatever runs while traffic flows."""

import json
import os
import random
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import psutil
import pytest

from ct_assets.supervisor import free_port
from ct_assets_tests.ct_assets.cli import browser

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("up"), pytest.mark.timeout(900)]

KILLS = 5


class Up:
    """A running `ct up` and its addresses."""

    def __init__(self, home: Path) -> None:
        self.ports = [free_port(port) for port in (13000, 15000, 13100)]
        self._log = home / "up.log"
        names = ("--dagster-port", "--mlflow-port", "--service-port")
        options = [word for name, port in zip(names, self.ports, strict=True) for word in (name, str(port))]
        self._command = [sys.executable, "-c", "from ct_assets.cli.main import app; app()", "up", *options]
        self._environment = os.environ | {"CT_HOME": str(home), "COLUMNS": "200"}
        self.process = self.start()

    def start(self) -> subprocess.Popen:
        log = self._log.open("w")
        self.process = subprocess.Popen(self._command, env=self._environment, stdout=log, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + 240
        while "All up" not in self._log.read_text():
            assert self.process.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.5)
        return self.process

    @property
    def dagster(self) -> str:
        return f"http://127.0.0.1:{self.ports[0]}"

    @property
    def service(self) -> str:
        return f"http://127.0.0.1:{self.ports[2]}"

    def descendants(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def end(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(90)


def post(url: str, body: Any, timeout: float = 20) -> Any:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=timeout) as answer:
        return json.load(answer)


def insist(url: str, body: Any, seconds: float = 180) -> Any:
    """What a client does: the same request again until it is acknowledged."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return post(url, body)
        except urllib.error.HTTPError as error:
            # Refused is an answer; unavailable is not.
            if error.code < 500 or time.monotonic() > deadline:
                raise
        except (OSError, json.JSONDecodeError):
            if time.monotonic() > deadline:
                raise
        time.sleep(0.3)


@pytest.fixture(scope="module")
def up(turning):
    running = Up(turning.home.root)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.end()


def test_the_code_location_loads_and_everything_is_described(up) -> None:
    query = """{ repositoriesOrError { ... on RepositoryConnection { nodes { location { name }
        assetNodes { assetKey { path } description hasMaterializePermission }
        sensors { name description } schedules { name description } } } ... on PythonError { message } } }"""
    answer = post(f"{up.dagster}/graphql", {"query": query})
    [repository] = answer["data"]["repositoriesOrError"]["nodes"]
    assert repository["location"]["name"] == "continual_training"
    assert len(repository["assetNodes"]) == 13
    described = [*repository["assetNodes"], *repository["sensors"], *repository["schedules"]]
    assert all(node["description"] for node in described)


@pytest.mark.skipif(browser.executable() is None, reason="no chromium: apt-get install chromium")
def test_the_lineage_page_shows_in_a_browser(up, tmp_path: Path) -> None:
    with browser.Browser() as page:
        page.open(f"{up.dagster}/asset-groups")
        page.wait_for("learning", "serving")
        page.press("e", "KeyE", alt=True)
        text = page.wait_for("labeled_events", "training_set", "candidate", "evaluation", "bento", "predictions")
        page.picture(tmp_path / "lineage.png")
    assert "error" not in text.lower()
    assert (tmp_path / "lineage.png").stat().st_size > 20_000


def test_killed_processes_lose_and_double_nothing(up, turning, small_world) -> None:
    """Five kills at random moments while events and labels are acknowledged; one of them takes `ct up` itself."""
    events, _ = small_world.between(51, 53)
    rows = events.head(600).with_columns(tx_time=pl.col("tx_time").dt.strftime("%Y-%m-%dT%H:%M:%S.%6fZ")).to_dicts()
    dice = random.Random(os.environ.get("CT_TEST_SEED", "5"))
    moments = sorted(dice.sample(range(50, len(rows) - 20), KILLS))
    answered: dict[int, str] = {}
    stated: list[int] = []
    killed: list[str] = []
    for number, row in enumerate(rows):
        if number in moments:
            killed.append(_kill_something(up, dice, whole=number == moments[2]))
        answer = insist(f"{up.service}/predict", row)
        assert answered.setdefault(row["transaction_id"], answer["prediction_id"]) == answer["prediction_id"]
        if number % 7 == 6:
            label = {
                "transaction_id": rows[number - 6]["transaction_id"],
                "label": number % 2,
                "known_at": row["tx_time"],
            }
            insist(f"{up.service}/labels", {"labels": [label | {"statement_id": f"said-{number}"}]})
            stated.append(label["transaction_id"])
    again = insist(f"{up.service}/predict", rows[0])
    assert (again["repeated"], again["prediction_id"]) == (True, answered[rows[0]["transaction_id"]])

    ours = list(psutil.Process(up.process.pid).children(recursive=True))
    assert up.end() == 0
    _, alive = psutil.wait_procs(ours, timeout=30)
    assert not alive, f"left behind: {alive}"
    assert turning.run("ingest").success

    sent = pl.Series("event_id", list(answered))
    for table, column in (("events", "event_id"), ("predictions", "event_id")):
        kept = turning.lake.read(table, where=pl.col(column).is_in(sent.implode()), columns=[column]).collect()
        assert sorted(kept[column]) == sorted(sent), f"{table}, after killing {killed}"
    predictions = turning.lake.read("predictions").collect()
    assert dict(predictions.select("event_id", "prediction_id").iter_rows()) == answered
    labels = turning.lake.read(
        "labels", where=pl.col("source").str.starts_with("journal:"), columns=["event_id"]
    ).collect()
    assert sorted(labels["event_id"]) == sorted(stated)
    skew = turning.instance.get_latest_materialization_event(
        dg.AssetKey(["card_fraud", "skew"])
    ).asset_materialization.metadata
    assert skew["mismatched"].value == 0
    assert skew["compared"].value >= len(rows) * len(turning.task.feature_names)


def _kill_something(up: Up, dice: random.Random, *, whole: bool) -> str:
    if whole:
        # What it started ends with it; then somebody runs it again.
        left = up.descendants()
        up.process.kill()
        up.process.wait(20)
        psutil.wait_procs(left, timeout=60)
        up.start()
        return "ct up"
    victim = dice.choice(up.descendants())
    name = " ".join(victim.cmdline()[:6])
    os.kill(victim.pid, signal.SIGKILL)
    return name
