"""Refusals: what a client is told when a request is not answered. When to refuse is decided by those who raise."""

import msgspec


class Refusal(Exception):  # noqa: N818 it is an answer, not an error of the service
    """An answer other than 200: `error` says what was wrong and where, `write` what to send or do instead."""

    def __init__(self, status: int, error: str, write: str) -> None:
        super().__init__(f"{status}: {error}")
        self.status = status
        self.error = error
        self.write = write


class Problem(msgspec.Struct, frozen=True):
    """The JSON of every answer that is not 200."""

    error: str
    write: str
    request_id: str
