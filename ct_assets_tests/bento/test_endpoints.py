"""What a client sees, in process through the ASGI application; the store and the model are real."""

import json

import msgspec
import pytest
from starlette.testclient import TestClient

from bento.desk import Desk
from bento.guard import BODY_BYTES
from bento.schemas import BATCH
from ct_assets.settings import Home
from ct_assets_tests.bento import worlds
from feature_defs.card_fraud import task
from feature_defs.engine import journal


def test_an_event_gets_a_score_a_decision_and_the_names_of_what_made_them(client: TestClient) -> None:
    [made] = client.post("/predict", json={"events": [worlds.event(7)]}).json()["predictions"]
    assert made["transaction_id"] == 7
    assert 0 < made["score"] < 1
    assert made["decision"] is (made["score"] >= 0.3)
    assert (made["version"], made["role"], made["feature_hash"]) == (1, "champion", task.feature_hash)
    assert made["repeated"] is False


def test_a_bare_event_gets_a_bare_answer(client: TestClient) -> None:
    made = client.post("/predict", json=worlds.event(7)).json()
    assert made["transaction_id"] == 7
    assert made["version"] == 1


def test_answers_come_in_the_order_of_the_events(client: TestClient) -> None:
    numbers = [5, 3, 9, 1]
    made = client.post("/predict", json={"events": [worlds.event(n) for n in numbers]}).json()["predictions"]
    assert [row["transaction_id"] for row in made] == numbers
    assert len({row["prediction_id"] for row in made}) == 4


def test_a_retry_gets_the_first_answer_and_changes_nothing(client: TestClient, desk: Desk, home: Home) -> None:
    body = {"events": [worlds.event(n) for n in range(5)]}
    first = client.post("/predict", json=body).json()["predictions"]
    store = desk._store
    assert store is not None
    before = (store.sequence, store.watermark, journal.last(store, "events"), journal.last(store, "predictions"))
    worlds.promote(home, 2)
    desk.slots.refresh()
    again = client.post("/predict", json=body).json()["predictions"]
    assert again == [row | {"repeated": True} for row in first]
    assert (
        store.sequence,
        store.watermark,
        journal.last(store, "events"),
        journal.last(store, "predictions"),
    ) == before


def test_an_event_twice_in_one_request_counts_once(client: TestClient, desk: Desk) -> None:
    made = client.post("/predict", json={"events": [worlds.event(1), worlds.event(1)]}).json()["predictions"]
    assert [row["repeated"] for row in made] == [False, True]
    assert made[0]["prediction_id"] == made[1]["prediction_id"]
    assert desk._store is not None
    assert journal.backlog(desk._store, "events") == 1


def test_labels_get_receipts_and_unknown_events_are_said_to_be_unknown(client: TestClient, desk: Desk) -> None:
    client.post("/predict", json={"events": [worlds.event(1)]})
    [known, unknown] = client.post("/labels", json={"labels": [worlds.label(1), worlds.label(2)]}).json()["receipts"]
    assert (known["transaction_id"], known["accepted"]) == (1, True)
    assert (unknown["transaction_id"], unknown["accepted"]) == (2, False)
    assert known["available_at"] == "2018-04-03T00:37:00Z"
    assert desk._store is not None
    assert [record.event_id for record in journal.read(desk._store, "labels")] == [1, 2]


def test_a_named_statement_sent_twice_counts_once(client: TestClient, desk: Desk) -> None:
    client.post("/predict", json={"events": [worlds.event(1)]})
    body = {"labels": [worlds.label(1, statement_id="chargeback-1")]}
    [first], [again] = (client.post("/labels", json=body).json()["receipts"] for _ in range(2))
    assert again == first | {"repeated": True}
    assert desk._store is not None
    assert journal.backlog(desk._store, "labels") == 1


def test_the_model_page_names_the_champion_and_its_digest(client: TestClient) -> None:
    page = client.get("/model").json()
    assert page["champion"]["version"] == 1
    assert page["champion"]["sha256"] == worlds.model(1).sha256
    assert page["refused"] is None
    assert page["store"]["backlog"] == {"events": 0, "labels": 0, "predictions": 0}


def test_ready_means_a_champion_and_a_store_that_takes_writes(client: TestClient) -> None:
    assert client.get("/readyz").json() == {"ready": True, "faults": []}


def test_without_a_champion_the_service_says_so_and_is_not_ready(tmp_path) -> None:
    desk = worlds.desk(Home(tmp_path))
    client = worlds.client(desk)
    assert client.get("/readyz").status_code == 503
    refused = client.post("/predict", json={"events": [worlds.event(1)]})
    assert refused.status_code == 503
    assert refused.headers["retry-after"] == "1"
    assert "no model" in refused.json()["error"]
    worlds.promote(Home(tmp_path), 1)
    desk.slots.refresh()
    assert client.get("/readyz").status_code == 200
    desk.close()


def test_a_store_of_other_features_is_a_fault_of_the_service_not_of_the_request(home: Home) -> None:
    path = home.store(task.name)
    path.parent.mkdir(parents=True)
    path.write_text("not a folder")
    desk = worlds.desk(home)
    client = worlds.client(desk)
    assert client.post("/predict", json={"events": [worlds.event(1)]}).status_code == 503
    assert "online store" in client.get("/readyz").json()["faults"][0]
    path.unlink()
    desk.check()
    assert client.post("/predict", json={"events": [worlds.event(1)]}).status_code == 200
    desk.close()


def _without(name: str) -> dict[str, object]:
    row = worlds.event(1)
    del row[name]
    return row


ROWS = {
    "unknown key": worlds.event(1, amont=3),
    "missing key": _without("amount"),
    "missing id": _without("transaction_id"),
    "null": worlds.event(1, amount=None),
    "negative amount": worlds.event(1, amount=-0.01),
    "amount beyond its bound": worlds.event(1, amount=1_000_000.01),
    "number as text": worlds.event(1, amount="12.5"),
    "whole number as float": worlds.event(1, customer_id=5.0),
    "true as a number": worlds.event(1, customer_id=True),
    "negative key": worlds.event(1, customer_id=-1),
    "key beyond 32 bits": worlds.event(1, customer_id=2**31),
    "id beyond 64 bits": worlds.event(1, transaction_id=2**63),
    "id with four hundred digits": worlds.event(1, transaction_id=10**400),
    "id as text": worlds.event(1, transaction_id="1"),
    "time as a number": worlds.event(1, tx_time=1522540800),
    "not a time": worlds.event(1, tx_time="yesterday"),
    "a day that is not": worlds.event(1, tx_time="2018-02-30T00:00:00Z"),
    "before the lake's time": worlds.event(1, tx_time="1500-01-01T00:00:00Z"),
    "after the lake's time": worlds.event(1, tx_time="9999-12-31T23:59:59-12:00"),
    "an object for a number": worlds.event(1, amount={"value": 3}),
    "not an object": 3,
}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS.keys())
def test_a_row_that_breaks_the_contract_is_refused_whole_and_changes_nothing(
    client: TestClient, desk: Desk, row: object
) -> None:
    client.post("/predict", json={"events": [worlds.event(0)]})
    assert desk._store is not None
    before = desk._store.sequence
    answer = client.post("/predict", json={"events": [worlds.event(2), row]})
    assert answer.status_code == 422
    assert set(answer.json()) == {"error", "write", "request_id"}
    assert answer.json()["write"]
    assert desk._store.sequence == before


def test_a_year_ahead_of_the_newest_arrival_is_refused(client: TestClient) -> None:
    client.post("/predict", json={"events": [worlds.event(0)]})
    answer = client.post("/predict", json={"events": [worlds.event(1, tx_time="2026-01-01T00:00:00Z")]})
    assert answer.status_code == 422
    assert "ahead of the newest arrival" in answer.json()["error"]


BODIES = {
    "nothing": b"",
    "not JSON": b"amount=3",
    "cut short": b'{"events": [{"transaction_id": 1',
    "not UTF-8": b"\xff\xfe{",
    "NaN": json.dumps({"events": [worlds.event(1, amount=float("nan"))]}).encode(),
    "Infinity": json.dumps({"events": [worlds.event(1, amount=float("inf"))]}).encode(),
    "two documents": json.dumps(worlds.event(1)).encode() * 2,
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_a_body_that_is_not_json_is_refused(client: TestClient, body: bytes) -> None:
    answer = client.post("/predict", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert "JSON" in answer.json()["write"]


SHAPES = {
    "no rows": b'{"events": []}',
    "a list": b"[]",
    "null": b"null",
    "an empty object": b"{}",
    "a number beyond float": b'{"events": [{"transaction_id":1,"tx_time":"2018-04-01T00:00:00Z","amount":1e400}]}',
    "deep nesting": b'{"events": ' + b"[" * 50_000,
    "deep nesting elsewhere": b'{"other": ' + b"[" * 50_000,
    "too many rows": json.dumps({"events": [worlds.event(n) for n in range(BATCH + 1)]}).encode(),
}


@pytest.mark.parametrize("body", SHAPES.values(), ids=SHAPES.keys())
@pytest.mark.parametrize("path", ["/predict", "/labels"])
def test_json_of_another_shape_is_refused(client: TestClient, path: str, body: bytes) -> None:
    answer = client.post(path, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 422


LABELS = {
    "a label of two": worlds.label(1, value=2),
    "a label as a float": worlds.label(1, value=0) | {"label": 0.0},
    "a label as a truth value": worlds.label(1) | {"label": True},
    "another kind": worlds.label(1, kind="rumour"),
    "no instant": {"transaction_id": 1, "label": 1},
    "an unknown key": worlds.label(1, source="bank"),
}


@pytest.mark.parametrize("row", LABELS.values(), ids=LABELS.keys())
def test_a_label_that_is_not_one_is_refused(client: TestClient, desk: Desk, row: object) -> None:
    assert client.post("/labels", json={"labels": [row]}).status_code == 422
    assert desk._store is not None
    assert journal.backlog(desk._store, "labels") == 0


def test_a_refusal_names_the_row_the_column_and_what_to_write(client: TestClient) -> None:
    answer = client.post("/predict", json={"events": [worlds.event(1), worlds.event(2, customer_id=-1)]}).json()
    assert "$.events[1].customer_id" in answer["error"]
    assert answer["write"] == "customer_id: a whole number from 0 to 2147483647"


@pytest.mark.parametrize("media", ["text/plain", "application/vnd.bentoml+pickle", "multipart/form-data", ""])
def test_only_json_is_taken(client: TestClient, media: str) -> None:
    answer = client.post("/predict", content=msgspec.json.encode(worlds.event(1)), headers={"content-type": media})
    assert answer.status_code == 415


def test_compressed_bodies_are_not_taken(client: TestClient) -> None:
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    assert client.post("/predict", content=b"\x1f\x8b", headers=headers).status_code == 415


@pytest.mark.parametrize(("method", "path"), [("GET", "/predict"), ("DELETE", "/labels"), ("POST", "/model")])
def test_other_methods_are_refused(client: TestClient, method: str, path: str) -> None:
    assert client.request(method, path).status_code == 405


def test_a_body_that_says_it_is_too_long_is_refused_unread(client: TestClient) -> None:
    answer = client.post("/predict", content=b" " * (BODY_BYTES + 1), headers={"content-type": "application/json"})
    assert answer.status_code == 413


def test_the_callers_request_id_comes_back_unless_it_is_unfit(client: TestClient) -> None:
    assert client.get("/model", headers={"x-request-id": "abc-1"}).headers["x-request-id"] == "abc-1"
    assert client.get("/model", headers={"x-request-id": "a b;c"}).headers["x-request-id"] != "a b;c"


def test_an_unknown_path_is_for_the_application_behind(client: TestClient) -> None:
    assert client.get("/nothing").status_code == 404
