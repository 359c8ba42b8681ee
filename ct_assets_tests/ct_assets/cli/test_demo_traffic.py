"""What is said to the service: in order of time, once each, over one connection, also across kills and lost answers.

The service here is a real HTTP server that keeps the service's contract (first answer wins) in forty lines.
"""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from rich.console import Console

from ct_assets.cli.demo.client import Client, Reply, UnreachableError
from ct_assets.cli.demo.narration import Narrator
from ct_assets.cli.demo.scene import Scene
from ct_assets.cli.demo.traffic import RECORD, Log, TrafficError, send, split, steps, tally
from feature_defs import catalogue

TASK = catalogue.load("card_fraud")
NOW = datetime(2024, 1, 10, tzinfo=UTC)


class Desk(ThreadingHTTPServer):
    """Answers predictions and labels; `sabotage` may drop the answer of the n-th request or refuse it."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.events: dict[int, dict[str, Any]] = {}
        self.statements: dict[str, dict[str, Any]] = {}
        self.order: list[tuple[str, Any]] = []
        self.connections = 0
        self.requests = 0
        self.drop_answer_of: set[int] = set()
        self.fail: dict[int, int] = {}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Desk

    def setup(self) -> None:
        super().setup()
        self.server.connections += 1

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests += 1
        number = self.server.requests
        if number in self.server.fail:
            return self._answer(self.server.fail[number], {"error": "no"})
        answer = self._predict(body) if self.path == "/predict" else self._label(body)
        if number in self.server.drop_answer_of:
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return None
        return self._answer(200, answer)

    def _predict(self, body: dict[str, Any]) -> dict[str, Any]:
        key = body["transaction_id"]
        repeated = key in self.server.events
        if not repeated:
            self.server.events[key] = body
            self.server.order.append(("event", key))
        return {"transaction_id": key, "version": 1, "score": 0.1, "repeated": repeated}

    def _label(self, body: dict[str, Any]) -> dict[str, Any]:
        receipts = []
        for label in body["labels"]:
            repeated = label["statement_id"] in self.server.statements
            self.server.statements.setdefault(label["statement_id"], label)
            receipts.append({"accepted": True, "repeated": repeated})
        self.server.order.append(("labels", [label["known_at"] for label in body["labels"]]))
        return {"receipts": receipts}

    def _answer(self, status: int, content: dict[str, Any]) -> None:
        encoded = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(encoded)))
        self.end_headers()
        self.wfile.write(encoded)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


class Remote:
    """As much of `Service` as traffic needs, in front of a server that is already there."""

    def __init__(self, port: int, log: Path) -> None:
        self.client, self.log, self.revived = Client(port), log, 0

    def post(self, path: str, body: bytes) -> Reply:
        return self.client.post(path, body)

    def revive(self) -> None:
        self.revived += 1


@pytest.fixture
def desk() -> Iterator[Desk]:
    with Desk() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def scene() -> Scene:
    size = 40
    delivered = [NOW + timedelta(minutes=7 * index) for index in range(size)]
    traffic = pl.DataFrame(
        {
            "transaction_id": [*range(size - 1), 3],
            "tx_time": delivered,
            "customer_id": [1] * size,
            "terminal_id": [2] * size,
            "amount": [1.25] * size,
            "delivered": delivered,
        },
        schema_overrides={"tx_time": pl.Datetime("us", "UTC"), "delivered": pl.Datetime("us", "UTC")},
    )
    telling = pl.DataFrame(
        {
            "transaction_id": range(100, 130),
            "is_fraud": [0, 1] * 15,
            "label_time": [NOW + timedelta(minutes=9 * index) for index in range(30)],
        },
        schema_overrides={"label_time": pl.Datetime("us", "UTC")},
    )
    empty = traffic.head(0)
    return Scene(TASK, "a test", NOW, NOW + timedelta(days=1), empty, telling.head(0), traffic, telling)


@pytest.fixture
def narrator() -> Narrator:
    return Narrator(Console(quiet=True))


def _log(tmp_path: Path) -> Any:
    return closing(Log(tmp_path / "traffic.log"))


def test_everything_is_sent_once_in_order_of_time_over_one_connection(
    desk: Desk, scene: Scene, narrator: Narrator, tmp_path: Path
) -> None:
    plan = steps(scene)
    with _log(tmp_path) as log:
        remote = Remote(desk.server_port, tmp_path)
        send(remote, plan, len(plan), log, narrator, "")  # type: ignore[arg-type]
        counted = tally(plan, log)
    assert (counted.requests, counted.failed, counted.refused, counted.duplicates, counted.labels) == (40, 0, 0, 1, 30)
    assert counted.versions == {1: 40}
    assert desk.connections == 1
    assert 0 < counted.p50_ms <= counted.p99_ms
    assert sorted(desk.events) == list(range(39))
    assert len(desk.statements) == 30
    assert desk.events[5]["tx_time"] == "2024-01-10T00:35:00.000000Z"
    # Labels come when their hour ends: after every payment of that hour, before those of the next.
    clock = NOW
    for kind, content in desk.order:
        if kind == "event":
            clock = NOW + timedelta(minutes=7 * content)
        else:
            latest = max(datetime.fromisoformat(instant) for instant in content)
            assert latest.replace(minute=0) <= clock
            assert latest > clock - timedelta(hours=2)


def test_a_killed_sender_goes_on_and_a_lost_answer_doubles_nothing(
    desk: Desk, scene: Scene, narrator: Narrator, tmp_path: Path
) -> None:
    plan = steps(scene)
    with _log(tmp_path) as log:
        remote = Remote(desk.server_port, tmp_path)
        send(remote, plan, 17, log, narrator, "")  # type: ignore[arg-type]
        # The 18th is acted on, but killed before it is written down; the record is torn.
        assert remote.post(plan[17].path, json.dumps(plan[17].body).encode()).accepted
    with (tmp_path / "traffic.log").open("ab") as torn:
        torn.write(b"\0" * (RECORD.itemsize - 1))
    with _log(tmp_path) as log:
        assert len(log.read()) == 17
        send(Remote(desk.server_port, tmp_path), plan, len(plan), log, narrator, "")  # type: ignore[arg-type]
        assert log.read()["step"].tolist() == list(range(len(plan)))
        counted = tally(plan, log)
    assert (counted.requests, counted.failed, counted.duplicates, counted.labels) == (40, 0, 1, 30)
    assert len(desk.events) == 39
    assert len(desk.statements) == 30


def test_a_lost_connection_is_made_again_and_the_step_repeated(
    desk: Desk, scene: Scene, narrator: Narrator, tmp_path: Path
) -> None:
    plan = steps(scene)
    desk.drop_answer_of = {5, 6, 20}
    desk.fail = {11: 503}
    with _log(tmp_path) as log:
        remote = Remote(desk.server_port, tmp_path)
        send(remote, plan, len(plan), log, narrator, "")  # type: ignore[arg-type]
        counted = tally(plan, log)
    assert remote.revived == 3
    assert (counted.requests, counted.failed, counted.duplicates) == (40, 0, 1)
    assert len(desk.events) == 39


def test_a_refused_request_is_no_failure_and_a_failed_one_is_counted(
    desk: Desk, scene: Scene, narrator: Narrator, tmp_path: Path
) -> None:
    plan = steps(scene)
    desk.fail = {2: 422, 4: 500, 5: 500, 6: 500}
    with _log(tmp_path) as log:
        send(Remote(desk.server_port, tmp_path), plan, 10, log, narrator, "")  # type: ignore[arg-type]
        counted = tally(plan, log)
    assert (counted.refused, counted.failed) == (1, 1)


def test_a_service_that_is_gone_for_good_ends_the_demo_with_the_place_of_its_log(
    scene: Scene, narrator: Narrator, tmp_path: Path
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with _log(tmp_path) as log, pytest.raises(TrafficError, match=r"no answer in 3 tries.*service\.log"):
        send(Remote(port, tmp_path / "service.log"), steps(scene), 1, log, narrator, "")  # type: ignore[arg-type]


def test_the_client_says_that_nobody_is_there() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with Client(port) as client, pytest.raises(UnreachableError, match="GET /model"):
        client.get("/model")


def test_the_plan_is_split_before_the_last_payments(scene: Scene) -> None:
    plan = steps(scene)
    cut = split(plan, 10)
    assert sum(step.key is not None for step in plan[cut:]) == 10
    assert plan[cut].key is not None
    assert split(plan, 1_000) == 0


def test_many_labels_of_one_hour_are_told_in_several_requests(scene: Scene) -> None:
    many = pl.concat([scene.telling.head(1)] * 2_500)
    told = [step for step in steps(Scene(**{**vars(scene), "telling": many})) if step.key is None]
    assert [len(step.body["labels"]) for step in told] == [1_000, 1_000, 500]
