"""The ledger of a task: its versions and the decisions about them, in Delta. Who may decide is in `promotion`."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import polars as pl

from ct_assets.lake.tables import Table
from ct_assets.release.records import Decision, ModelVersion
from ct_assets.release.tables import DECISIONS, JSON_COLUMNS, MODEL_VERSIONS

if TYPE_CHECKING:
    from ct_assets.lake.lake import Lake


class UnknownVersionError(KeyError):
    """The ledger has no such version."""

    def __str__(self) -> str:
        return str(self.args[0])


def record_version(lake: "Lake", row: ModelVersion, *, run_id: str) -> bool:
    """Add a version, once: False when its digest was already there."""
    return lake.append(MODEL_VERSIONS, _frame([row], MODEL_VERSIONS), f"train:{row.digest}", 1, run_id=run_id)


def versions(lake: "Lake") -> list[ModelVersion]:
    """All versions, oldest first."""
    frame = lake.read(MODEL_VERSIONS).sort("version").collect()
    return [msgspec.convert(row, ModelVersion) for row in _rows(frame)]


def version(lake: "Lake", number: int) -> ModelVersion:
    """The row of one version.

    Raises:
        UnknownVersionError: there is none; the message lists those there are.
    """
    rows = {row.version: row for row in versions(lake)}
    if number not in rows:
        raise UnknownVersionError(
            f"no version {number} in the ledger; there is: {', '.join(map(str, rows)) or 'none yet'}"
        )
    return rows[number]


def newest(lake: "Lake") -> ModelVersion | None:
    """The version with the highest number, promoted or not."""
    rows = versions(lake)
    return rows[-1] if rows else None


def by_digest(lake: "Lake", digest: str) -> ModelVersion | None:
    """The version trained from exactly these rows, learner and parameters."""
    return next((row for row in versions(lake) if row.digest == digest), None)


def record_verdicts(lake: "Lake", rows: Iterable[Decision], *, run_id: str) -> None:
    """Add verdicts, each once by its id."""
    for row in rows:
        lake.append(DECISIONS, _frame([row], DECISIONS), f"decision:{row.decision_id}", 1, run_id=run_id)


def decisions(lake: "Lake") -> list[Decision]:
    """All verdicts and decisions, oldest first."""
    frame = lake.read(DECISIONS).sort("decided_at", "version", "kind", "name", descending=[False, False, True, False])
    return [msgspec.convert(row, Decision) for row in _rows(frame.collect())]


def verdicts(lake: "Lake", number: int) -> dict[str, Decision]:
    """The newest verdict of each gate on one version, by name."""
    return {row.name: row for row in decisions(lake) if row.version == number and row.kind == "verdict"}


def promotions(lake: "Lake") -> list[Decision]:
    """Decisions that made a version champion, oldest first; the last one names the champion."""
    return [row for row in decisions(lake) if row.kind == "decision" and row.outcome == "promoted"]


def champion(lake: "Lake") -> ModelVersion | None:
    """The version that serves by the ledger, None before the first promotion."""
    history = promotions(lake)
    return version(lake, history[-1].version) if history else None


def rival(lake: "Lake", number: int) -> ModelVersion | None:
    """Whom `number` must be judged against: the champion, or whom it replaced if it was promoted already."""
    for row in promotions(lake):
        if row.version == number:
            return None if row.champion is None else version(lake, row.champion)
    return champion(lake)


def record_decision(lake: "Lake", row: Decision, app_id: str, number: int) -> bool:
    """Add a decision under the caller's own sequence: False when that number was taken."""
    return lake.append(DECISIONS, _frame([row], DECISIONS), app_id, number, run_id=row.run_id)


def _frame(rows: Sequence[msgspec.Struct], table: Table) -> pl.DataFrame:
    plain = [msgspec.structs.asdict(row) for row in rows]
    for row in plain:
        row.update({name: _encode(row[name]) for name in JSON_COLUMNS if name in row})
    return pl.DataFrame(plain, schema=table.schema)


def _rows(frame: pl.DataFrame) -> list[dict[str, Any]]:
    rows = frame.to_dicts()
    for row in rows:
        row.update({name: msgspec.json.decode(row[name]) for name in JSON_COLUMNS if name in row})
    return rows


def _encode(value: dict[str, Any]) -> str:
    return msgspec.json.encode(value, order="sorted").decode()
