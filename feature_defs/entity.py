"""Entities: what features are kept for, such as a customer or a terminal."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Entity:
    """A thing with a history. `key` is the column of the stream that names it."""

    name: str
    key: str
