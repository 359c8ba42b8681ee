"""Who may call, and how a body is taken in: tokens, media type, size and time. What a body means is in `schemas`."""

import asyncio
import hashlib
import hmac
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

from bento.configuration import LOOPBACK
from bento.refusal import Refusal

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]

BODY_BYTES = 1_000_000
"""Longest body: a full batch of events with long names, several times over."""

BODY_SECONDS = 10.0
"""Longest time for a body to arrive once its head is here."""

BODIES = 64
"""Most bodies that may be arriving at once; with `BODY_BYTES` it bounds the memory that strangers can hold."""

OPEN = frozenset({"/livez", "/readyz", "/healthz"})
"""Paths without a token: probes cannot carry one, and they say nothing worth hiding."""


class Disconnected(Exception):  # noqa: N818 nobody is left to be told
    """The client went away before its request was complete."""


@dataclass(frozen=True)
class Guard:
    """Bearer tokens of three scopes, as SHA-256 in hex: `admin` opens everything, the others their own paths."""

    tokens: tuple[tuple[str, str], ...]

    def admit(self, scope: Scope, needed: str) -> None:
        """Let a request to a path that needs the scope `needed` pass.

        Raises:
            Refusal: 401 without a known token, 403 with one of another scope, or from outside without any tokens set.
        """
        if scope["path"] in OPEN:
            return
        if not self.tokens:
            # The address the connection came in on: with a server on all interfaces, that of the interface.
            server = scope.get("server")
            if server is None or server[0] not in LOOPBACK:
                raise Refusal(
                    403, "this service has no tokens and answers loopback only", "set CT_TOKENS and restart it"
                )
            return
        kind, _, token = _header(scope, b"authorization").partition(b" ")
        digest = hashlib.sha256(token.strip()).hexdigest() if kind.lower() == b"bearer" else ""
        # Every pair is compared, whatever the first one says, so that time tells nothing.
        held = {role for role, known in self.tokens if hmac.compare_digest(known, digest)}
        if not held:
            raise Refusal(401, "no known token", "the header Authorization: Bearer TOKEN")
        if not held & {needed, "admin"}:
            raise Refusal(403, f"this token is for {', '.join(sorted(held))}, not for {needed}", f"a {needed} token")


class Bodies:
    """Takes in JSON bodies, a bounded number at a time."""

    def __init__(self) -> None:
        self._arriving = 0

    async def read(self, scope: Scope, receive: Receive) -> bytes:
        """The whole body of a JSON request.

        Raises:
            Refusal: 415 not JSON, 413 too long, 408 too slow, 429 too many at once.
            Disconnected: the client went away.
        """
        media = _header(scope, b"content-type").partition(b";")[0].strip().lower()
        if media != b"application/json" or _header(scope, b"content-encoding") not in (b"", b"identity"):
            raise Refusal(415, "the body is not declared as plain JSON", "the header Content-Type: application/json")
        stated = _header(scope, b"content-length")
        if stated.isdigit() and int(stated) > BODY_BYTES:
            raise _too_long()
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        body: bytes = message.get("body", b"")
        if message.get("more_body"):
            body = await self._rest(body, receive)
        if len(body) > BODY_BYTES:
            raise _too_long()
        return body

    async def _rest(self, body: bytes, receive: Receive) -> bytes:
        if self._arriving >= BODIES:
            raise Refusal(429, f"{BODIES} bodies are arriving already", "the same again, a little later")
        self._arriving += 1
        parts, length = [body], len(body)
        try:
            async with asyncio.timeout(BODY_SECONDS):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise Disconnected
                    parts.append(message.get("body", b""))
                    length += len(parts[-1])
                    if length > BODY_BYTES:
                        raise _too_long()
                    if not message.get("more_body"):
                        return b"".join(parts)
        except TimeoutError:
            raise Refusal(408, f"the body took more than {BODY_SECONDS:.0f} seconds", "the body at once") from None
        finally:
            self._arriving -= 1


def _too_long() -> Refusal:
    return Refusal(413, f"the body has more than {BODY_BYTES:,} bytes", "fewer events in each request")


def _header(scope: Scope, name: bytes) -> bytes:
    value: bytes
    for key, value in scope["headers"]:
        if key == name:
            return value
    return b""
