"""Who is let in and what body is taken, on the wire level of ASGI."""

import asyncio
import hashlib

import pytest

from bento import guard
from bento.desk import Desk
from bento.guard import BODIES, BODY_BYTES, Bodies, Disconnected
from bento.refusal import Refusal
from ct_assets.settings import Home
from ct_assets_tests.bento import worlds

HEADERS = [(b"content-type", b"application/json; charset=utf-8")]


def tokens(**words: str) -> tuple[tuple[str, str], ...]:
    return tuple((scope, hashlib.sha256(word.encode()).hexdigest()) for scope, word in words.items())


@pytest.fixture
def guarded(home: Home):
    desk = worlds.desk(home, tokens=tokens(predict="p", feedback="f", admin="a"))
    yield worlds.client(desk)
    desk.close()


PREDICT, LABELS, MODEL, DOCS = ("POST", "/predict"), ("POST", "/labels"), ("GET", "/model"), ("GET", "/docs.json")


@pytest.mark.parametrize(
    ("token", "allowed"),
    [("p", {PREDICT, MODEL}), ("f", {LABELS}), ("a", {PREDICT, LABELS, MODEL, DOCS})],
)
def test_a_token_opens_the_paths_of_its_scope_and_no_other(guarded, token: str, allowed: set) -> None:
    guarded.post("/predict", json={"events": [worlds.event(1)]}, headers={"authorization": "Bearer a"})
    for method, path in (PREDICT, LABELS, MODEL, DOCS):
        body = {"/predict": {"events": [worlds.event(1)]}, "/labels": {"labels": [worlds.label(1)]}}.get(path)
        answer = guarded.request(method, path, json=body, headers={"authorization": f"Bearer {token}"})
        assert answer.status_code == (200 if (method, path) in allowed else 403), path


@pytest.mark.parametrize("header", [None, "Bearer x", "Basic cDo=", "Bearer", "p"])
def test_without_a_known_token_nothing_but_probes_is_answered(guarded, header: str | None) -> None:
    headers = {} if header is None else {"authorization": header}
    for path in ("/model", "/metrics", "/docs.json", "/", "/nothing"):
        answer = guarded.get(path, headers=headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
    assert guarded.get("/readyz", headers=headers).status_code == 200


def test_without_tokens_a_connection_from_elsewhere_is_refused(desk: Desk) -> None:
    assert worlds.client(desk, host="192.0.2.7").get("/model").status_code == 403
    assert worlds.client(desk, host="127.0.0.1").get("/model").status_code == 200


def read(chunks, headers=HEADERS, bodies: Bodies | None = None) -> bytes:
    """The body that arrives in `chunks`; None among them is a client that goes away."""
    waiting = list(chunks)

    async def receive():
        await asyncio.sleep(0)
        chunk = waiting.pop(0)
        if chunk is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": chunk, "more_body": bool(waiting)}

    return asyncio.run((bodies or Bodies()).read({"headers": headers}, receive))


def test_a_body_in_pieces_is_put_together() -> None:
    assert read([b"{", b"", b"}"]) == b"{}"


def test_a_flood_in_pieces_is_cut_off_at_the_limit() -> None:
    pieces = [b" " * 100_000] * 1000
    with pytest.raises(Refusal) as refused:
        read(pieces)
    assert refused.value.status == 413


def test_the_longest_body_is_taken() -> None:
    assert len(read([b" " * (BODY_BYTES - 1), b" "])) == BODY_BYTES


@pytest.mark.parametrize("chunks", [[None], [b"{", None]])
def test_a_client_that_goes_away_is_noticed(chunks) -> None:
    with pytest.raises(Disconnected):
        read(chunks)


def test_a_slow_body_is_given_up(monkeypatch) -> None:
    monkeypatch.setattr(guard, "BODY_SECONDS", 0.01)

    async def forever():
        await asyncio.sleep(0.005)
        return {"type": "http.request", "body": b" ", "more_body": True}

    with pytest.raises(Refusal) as refused:
        asyncio.run(Bodies().read({"headers": HEADERS}, forever))
    assert refused.value.status == 408


def test_only_so_many_bodies_arrive_at_once_and_places_come_back() -> None:
    async def crowd() -> list[int]:
        bodies, opened = Bodies(), asyncio.Event()

        def client():
            sent = iter([{"type": "http.request", "body": b"{", "more_body": True}])

            async def receive():
                for message in sent:
                    return message
                await opened.wait()
                return {"type": "http.request", "body": b"}", "more_body": False}

            return bodies.read({"headers": HEADERS}, receive)

        arriving = [asyncio.create_task(client()) for _ in range(BODIES)]
        await asyncio.sleep(0.01)
        with pytest.raises(Refusal) as refused:
            await client()
        opened.set()
        assert await asyncio.gather(*arriving) == [b"{}"] * BODIES
        assert await client() == b"{}"
        return [refused.value.status]

    assert asyncio.run(crowd()) == [429]
