"""The paths of the service as one small ASGI application in front of BentoML's own.

It takes requests in and sends answers; what an answer says is decided at the `desk`. BentoML behind it answers the
rest: liveness, metrics, files of the page.
"""

import itertools
import logging
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import msgspec

from bento import metrics, openapi
from bento.desk import Desk
from bento.guard import Bodies, Disconnected, Guard, Message, Receive, Scope
from bento.refusal import Problem, Refusal

Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Coroutine[Any, Any, None]]

# The scope of token that a path needs; every other path needs `admin`.
SCOPES = {"/predict": "predict", "/labels": "feedback", "/model": "predict"}

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")

logger = logging.getLogger("bento")


class Endpoints:
    """Answers `/predict`, `/labels`, `/model`, `/readyz` and the OpenAPI page; hands everything else to `behind`."""

    def __init__(self, desk: Desk, behind: Application) -> None:
        self.desk = desk
        self.behind = behind
        self._guard = Guard(desk.configuration.tokens)
        self._bodies = Bodies()
        self._posts = {"/predict": desk.predict, "/labels": desk.label}
        self._gets = {"/model": self._model, "/readyz": self._ready, "/docs.json": self._openapi, "/": self._page}
        self._instance = secrets.token_hex(4)
        self._numbers = itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or one lifespan."""
        if scope["type"] == "lifespan":
            await self.behind(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1003})
            return
        path: str = scope["path"]
        known = path in self._posts or path in self._gets
        request_id = self._request_id(scope)
        try:
            self._guard.admit(scope, SCOPES.get(path, "admin"))
            if known:
                status, body = await self._answer(path, scope, receive)
        except Disconnected:
            return
        except Refusal as refusal:
            status = refusal.status
            body = msgspec.json.encode(Problem(refusal.error, refusal.write, request_id))
            known = True
        except Exception:  # the client gets an answer, the log what happened
            logger.exception("Request %s to %s failed", request_id, path)
            status = 500
            body = msgspec.json.encode(
                Problem("the service failed; its log says why under this request id", "the same again", request_id)
            )
        if not known:
            await self.behind(scope, receive, send)
            return
        metrics.REQUESTS.labels(path if path in SCOPES else "other", status).inc()
        await _send(send, status, body, request_id)

    async def _answer(self, path: str, scope: Scope, receive: Receive) -> tuple[int, bytes]:
        method = scope["method"]
        if (post := self._posts.get(path)) is not None:
            if method != "POST":
                raise Refusal(405, f"{path} does not take {method}", f"POST {path} with a JSON body")
            body = await self._bodies.read(scope, receive)
            started = time.perf_counter()
            answer = post(body)
            metrics.LATENCY.labels(path).observe(time.perf_counter() - started)
            return 200, answer
        if method != "GET":
            raise Refusal(405, f"{path} does not take {method}", f"GET {path}")
        return self._gets[path]()

    def _model(self) -> tuple[int, bytes]:
        return 200, self.desk.model()

    def _ready(self) -> tuple[int, bytes]:
        faults = self.desk.faults()
        return 503 if faults else 200, msgspec.json.encode({"ready": not faults, "faults": faults})

    def _openapi(self) -> tuple[int, bytes]:
        return 200, msgspec.json.encode(openapi.document(self.desk.schemas))

    def _page(self) -> tuple[int, bytes]:
        return 200, openapi.PAGE

    def _request_id(self, scope: Scope) -> str:
        for name, value in scope["headers"]:
            if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
                return str(value, "ascii")
        return f"{self._instance}-{next(self._numbers)}"


async def _send(send: Send, status: int, body: bytes, request_id: str) -> None:
    headers: list[tuple[bytes, bytes]] = [
        (b"content-type", b"text/html; charset=utf-8" if body is openapi.PAGE else b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"x-request-id", request_id.encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if status in (429, 503):
        headers.append((b"retry-after", b"1"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
