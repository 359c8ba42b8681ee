"""Numbers for texts, so that ids, entities and values are int64 words everywhere; and the byte keys made of them.

Numbers are given within a transaction and never change, so every process sees the same ones.
"""

import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np

from feature_defs.engine.values import NULL, Integers

# LMDB refuses keys beyond 511 bytes; a longer text is named by its beginning and its SHA-256.
LONGEST = 480
_SIGN = 1 << 63


def key(word: int) -> bytes:
    """Eight bytes that sort like the int64 they stand for."""
    return (word + _SIGN).to_bytes(8, "big")


def keys(words: Integers) -> list[bytes]:
    """`key` of many words."""
    flipped = (words.astype(np.int64).view(np.uint64) ^ np.uint64(_SIGN)).astype(">u8").tobytes()
    return [flipped[at : at + 8] for at in range(0, len(flipped), 8)]


def token(text: str) -> bytes:
    """A text as a key: itself, or what names it when it is too long."""
    given = text.encode()
    return given if len(given) <= LONGEST else given[: LONGEST - 33] + b"\xff" + hashlib.sha256(given).digest()


class Numbering:
    """Texts and their numbers, in two databases: `number.<name>` and `text.<name>`."""

    def __init__(self, numbers: Any, texts: Any) -> None:
        self._numbers = numbers
        self._texts = texts

    def find(self, transaction: Any, text: str) -> int | None:
        """The number of `text`, if it has one."""
        found = transaction.get(token(text), db=self._numbers)
        return None if found is None else int.from_bytes(found, "big")

    def number(self, transaction: Any, text: str) -> int:
        """The number of `text`, given now if it has none."""
        found = self.find(transaction, text)
        if found is None:
            found = int(transaction.stat(db=self._numbers)["entries"])
            given = found.to_bytes(8, "big")
            transaction.put(token(text), given, db=self._numbers)
            transaction.put(given, text.encode(), db=self._texts)
        return found

    def numbers(self, transaction: Any, texts: Iterable[str | None]) -> Integers:
        """Numbers of many texts; `NULL` for null."""
        known: dict[str | None, int] = {None: int(NULL)}
        for text in texts:
            if text is not None and text not in known:
                known[text] = self.number(transaction, text)
        return np.fromiter((known[text] for text in texts), dtype=np.int64)

    def text(self, transaction: Any, number: int) -> str:
        """The text with a number that was given."""
        return bytes(transaction.get(number.to_bytes(8, "big"), db=self._texts)).decode()
