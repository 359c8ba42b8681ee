"""The service as it runs: supervisor and worker, sockets, signals."""

import os
import signal
import subprocess
import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from ct_assets.settings import Home
from ct_assets_tests.bento import records, worlds
from ct_assets_tests.bento.servers import COMMAND, PROJECT, Server
from feature_defs.card_fraud import task
from feature_defs.engine.online import OnlineStore

pytestmark = pytest.mark.slow


def in_threads(work: Callable[[int], None], count: int = 3) -> list[threading.Thread]:
    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    return threads


def test_the_service_answers_on_loopback_with_its_page_and_its_metrics(home: Home) -> None:
    with Server(home) as server, httpx.Client(base_url=server.url, timeout=30) as client:
        made = client.post("/predict", json={"events": [worlds.event(1)]})
        assert made.status_code == 200
        assert made.json()["predictions"][0]["version"] == 1
        assert client.post("/labels", json={"labels": [worlds.label(1)]}).json()["receipts"][0]["accepted"]
        assert client.get("/livez").status_code == 200
        metrics = client.get("/metrics").text
        assert 'ct_requests_total{path="/predict",status="200"} 1.0' in metrics
        assert 'ct_predictions_total{role="champion",version="1"} 1.0' in metrics
        page = client.get("/").text
        assert "googletagmanager" not in page
        assert client.get("/static_content/swagger-ui.css").status_code == 200
        assert client.get("/docs.json").json()["info"]["title"] == "card_fraud"
        listening = {
            address.laddr.ip for address in server.worker().net_connections("tcp") if address.status == "LISTEN"
        }
        assert listening == {"127.0.0.1"}


def test_champions_change_under_load_without_a_failed_or_a_mixed_answer(home: Home) -> None:
    failed: list[Any] = []
    versions: set[int] = set()
    done = threading.Event()

    def send(thread: int) -> None:
        with httpx.Client(base_url=server.url, timeout=30) as client:
            number = thread * 1_000_000
            while not done.is_set():
                rows = [worlds.event(number + step, tx_time="2018-04-02T00:00:00Z") for step in range(5)]
                number += 5
                answer = client.post("/predict", json={"events": rows})
                answered = {row["version"] for row in answer.json().get("predictions", [])}
                if answer.status_code != 200 or len(answered) != 1:
                    failed.append(answer.text)
                versions.update(answered)

    with Server(home) as server:
        threads = in_threads(send)
        with httpx.Client(base_url=server.url, timeout=30) as client:
            for turn in range(12):
                wanted = 2 + turn % 2
                worlds.promote(home, wanted)
                while client.get("/model").json()["champion"]["version"] != wanted:
                    pass
        done.set()
        for thread in threads:
            thread.join()
    assert failed == []
    assert versions == {1, 2, 3}


def test_kill_9_of_the_worker_loses_and_doubles_nothing_that_was_acknowledged(home: Home) -> None:
    acknowledged: dict[int, dict[str, Any]] = {}
    unanswered: list[int] = []
    done = threading.Event()

    def send(thread: int) -> None:
        with httpx.Client(base_url=server.url, timeout=30) as client:
            number = thread * 1_000_000
            while not done.is_set():
                number += 1
                try:
                    answer = client.post("/predict", json=worlds.event(number, tx_time="2018-04-02T00:00:00Z"))
                    assert answer.status_code == 200, answer.text
                    acknowledged[number] = answer.json()
                except httpx.TransportError:
                    unanswered.append(number)
                    done.wait(0.05)

    with Server(home) as server:
        threads = in_threads(send)
        for _ in range(2):
            before = len(acknowledged)
            while len(acknowledged) < before + 50:
                done.wait(0.01)
            victim = server.worker()
            victim.kill()
            victim.wait()
            server.wait()
        done.set()
        for thread in threads:
            thread.join()
        assert unanswered
        with httpx.Client(base_url=server.url, timeout=30) as client:
            for number, first in list(acknowledged.items())[::20]:
                again = client.post("/predict", json=worlds.event(number, tx_time="2018-04-02T00:00:00Z")).json()
                assert again == first | {"repeated": True}
    with OnlineStore.open(home.store(task.name), task) as store:
        predictions = records.all_of(store, "predictions")
        events = [record.event_id for record in records.all_of(store, "events")]
    assert len(events) == len(set(events))
    assert events == [record.event_id for record in predictions]
    kept = {record.event_id: record for record in predictions}
    for number, first in acknowledged.items():
        assert (kept[number].prediction_id, kept[number].score) == (first["prediction_id"], first["score"])
    assert set(events) <= set(acknowledged) | set(unanswered)


def test_a_worker_ends_when_its_supervisor_was_killed(home: Home) -> None:
    with Server(home) as server:
        worker = server.worker()
        server.process.send_signal(signal.SIGKILL)
        worker.wait(timeout=60)


def test_other_interfaces_are_refused_without_tokens(home: Home) -> None:
    command = [*COMMAND, "bento.service:Scorer", "--host", "0.0.0.0", "--working-dir", str(PROJECT)]
    environment = os.environ | {"CT_HOME": str(home.root), "BENTOML_HOME": str(home.bentoml)}
    done = subprocess.run(
        command, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode != 0
    assert "Refusing to listen on 0.0.0.0 without tokens" in done.stderr + done.stdout
