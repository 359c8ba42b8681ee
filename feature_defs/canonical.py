"""The canonical form of a feature set: what its hash is taken of, and how two sets differ.

Two definitions share it iff they compute the same columns. It says nothing about titles, bounds or policy.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from feature_defs import expression
from feature_defs.columns import Column, Decimal
from feature_defs.feature import Row, Window
from feature_defs.stream import Label, Stream


def form(stream: Stream, features: Sequence[Row | Window]) -> str:
    """The canonical form as JSON: one object per column of a vector, in definition order."""
    described = [entry for feature in features for entry in _entries(stream, feature)]
    return json.dumps(described, separators=(",", ":"), sort_keys=True, allow_nan=False)


def fingerprint(canonical: str) -> str:
    """The hash that names a feature set: the first 16 hexadecimal digits of SHA-256."""
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Difference:
    """How a feature set differs from an older one, by column name. Equal sets that are ordered differently `moved`."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    moved: bool

    @property
    def empty(self) -> bool:
        """Whether both compute the same columns."""
        return not (self.added or self.removed or self.changed or self.moved)


def difference(older: str, newer: str) -> Difference:
    """What became of the canonical form `older` in `newer`."""
    before, after = ({entry["name"]: entry for entry in json.loads(given)} for given in (older, newer))
    shared = [name for name in after if name in before]
    return Difference(
        added=tuple(name for name in after if name not in before),
        removed=tuple(name for name in before if name not in after),
        changed=tuple(name for name in shared if before[name] != after[name]),
        moved=shared != [name for name in before if name in after],
    )


def _entries(stream: Stream, feature: Row | Window) -> list[dict[str, Any]]:
    if isinstance(feature, Row):
        made = expression.canonical(feature.expression)
        return [{"name": feature.name, "row": made, "columns": _types(stream, expression.columns(feature.expression))}]
    shared = {
        "entity": [feature.entity.name, feature.entity.key, _type(stream.columns[feature.entity.key])],
        "of": ["label" if isinstance(feature.of, Label) else "stream", feature.of.name],
        "key": _type(stream.key_type),
        "delay": feature.delay_us,
    }
    if feature.where is not None:
        shared["where"] = expression.canonical(feature.where)
        shared["columns"] = _types(stream, expression.columns(feature.where))
    entries = []
    for column in feature.features:
        value = column.aggregation.column
        entry = {"name": column.name, "kind": column.aggregation.kind, "width": column.width_us, **shared}
        entries.append(entry | ({"value": [value, _type(stream.columns[value])]} if value else {}))
    return entries


def _types(stream: Stream, names: set[str]) -> dict[str, str]:
    return {name: _type(stream.columns[name]) for name in sorted(names) if name in stream.columns}


def _type(column: Column) -> str:
    """What arithmetic depends on: the storage type and the scale, not bounds or nulls."""
    if isinstance(column, Decimal):
        return f"decimal {column.decimals}"
    return type(column).__name__.lower()
