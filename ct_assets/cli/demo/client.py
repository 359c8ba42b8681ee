"""One keep-alive HTTP connection to the service. What is said over it is decided in `traffic`."""

import http.client
from dataclasses import dataclass
from types import TracebackType
from typing import Self

TIMEOUT_SECONDS = 30.0
_JSON = {"Content-Type": "application/json"}


class UnreachableError(Exception):
    """The service gave no answer: it is not there, or it went away in between."""


@dataclass(frozen=True)
class Reply:
    """What came back."""

    status: int
    body: bytes

    @property
    def accepted(self) -> bool:
        """Whether the service did what it was asked."""
        return 200 <= self.status < 300

    @property
    def refused(self) -> bool:
        """Whether the service found fault with the request (not with itself)."""
        return 400 <= self.status < 500


class Client:
    """Talks to `127.0.0.1:port`; connects when first used, and again after a lost connection."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)

    def get(self, path: str) -> Reply:
        """A GET, asked again when the server had let go of an idle connection.

        Raises:
            UnreachableError: no answer.
        """
        try:
            return self._ask("GET", path, None)
        except UnreachableError:
            return self._ask("GET", path, None)

    def post(self, path: str, body: bytes) -> Reply:
        """A POST of JSON. Not repeated by itself: whoever asks knows whether that is safe.

        Raises:
            UnreachableError: no answer; the service may or may not have acted.
        """
        return self._ask("POST", path, body)

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()

    def _ask(self, method: str, path: str, body: bytes | None) -> Reply:
        try:
            self._connection.request(method, path, body, _JSON if body else {})
            answer = self._connection.getresponse()
            return Reply(answer.status, answer.read())
        except (OSError, http.client.HTTPException) as lost:
            # The connection may hold half an answer: it is of no more use.
            self._connection.close()
            raise UnreachableError(f"{method} {path}: {type(lost).__name__} {lost}") from lost

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
