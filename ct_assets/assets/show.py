"""What people see of an asset in the UI: counts, tables and pictures of plain values. Nothing is computed here."""

import base64
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import dagster as dg

from ct_assets.lake.delivery import Delivery
from ct_assets.release.evaluation import Evaluation
from ct_assets.release.records import Decision, ModelVersion
from ct_assets.training.manifest import Manifest

Metadata = dict[str, Any]


def delivery(account: Delivery) -> Metadata:
    """The account of a delivery, with the rules that rows broke."""
    return {
        "offered": account.offered,
        "stored": account.stored,
        "quarantined": account.quarantined,
        "duplicates": account.duplicates,
        "quarantined_share": account.quarantined_share,
        "reasons": table([{"rule": rule, "rows": rows} for rule, rows in account.reasons.items()]),
    }


def manifest(found: Manifest) -> Metadata:
    """A training set: rows, windows, the tables it was read from."""
    return {
        "rows": found.rows,
        "positives": found.positives,
        "holdout_rows": found.holdout_rows,
        "holdout_positives": found.holdout_positives,
        "train": span(found.window_from, found.window_to),
        "holdout": span(found.holdout_from, found.holdout_to),
        "label_cutoff": instant(found.label_cutoff),
        "window_complete": found.complete,
        "feature_hash": found.feature_hash,
        "digest": found.digest,
        "table_versions": dg.MetadataValue.json(found.table_versions),
    }


def version(row: ModelVersion) -> Metadata:
    """A version: its scores on the holdout, size, file and MLflow run."""
    return {
        "version": row.version,
        **row.metrics,
        "rows": row.rows,
        "bytes": row.size,
        "sha256": row.sha256,
        "trigger": row.trigger,
        "train": span(row.window_from, row.window_to),
        "holdout": span(row.holdout_from, row.holdout_to),
        "parameters": dg.MetadataValue.json(row.parameters),
        "mlflow_run": row.run_id,
    }


def judged(found: Evaluation) -> Metadata:
    """An evaluation: the table of verdicts, and the numbers that people follow over versions."""
    sample = {name: value for row in found.verdicts for name, value in row.sample.items()}
    followed: Metadata = {
        name: sample[name] for name in ("average_precision", "champion_average_precision") if name in sample
    }
    return {
        "version": found.candidate.version,
        "against": found.champion.version if found.champion else 0,
        "holdout_rows": len(found.labels),
        "holdout_positives": int(found.labels.sum()),
        "passed": found.passed,
        "verdicts": decisions(found.verdicts),
        **followed,
    }


def verdict(row: Decision) -> Metadata:
    """One verdict with its numbers and what they were taken on."""
    numbers = {"estimate": row.estimate, "low": row.low, "high": row.high, "margin": row.margin}
    return {
        "outcome": row.outcome,
        **{name: value for name, value in numbers.items() if value is not None},
        "method": row.method,
        "sample": dg.MetadataValue.json(row.sample),
    }


def decisions(rows: Sequence[Decision]) -> dg.MetadataValue[Any]:
    """Verdicts or decisions as a table."""
    return table([_row(row) for row in rows])


def _row(row: Decision) -> dict[str, str | int]:
    numbers = {"estimate": row.estimate, "low": row.low, "high": row.high, "margin": row.margin}
    return {
        "version": row.version,
        "name": row.name,
        "outcome": row.outcome,
        **{name: "" if value is None else f"{value:+.4f}" for name, value in numbers.items()},
        "against": "nobody" if row.champion is None else f"version {row.champion}",
        "detail": row.detail,
    }


def table(rows: Sequence[Mapping[str, Any]]) -> dg.MetadataValue[Any]:
    """Records as a table; a line of text when there are none."""
    if not rows:
        return dg.MetadataValue.text("none")
    return dg.MetadataValue.table(records=[dg.TableRecord(dict(row)) for row in rows])


def picture(png: bytes, what: str) -> dg.MetadataValue[Any]:
    """A PNG within Markdown. It is kept in the event log, so pictures are small."""
    return dg.MetadataValue.md(f"![{what}](data:image/png;base64,{base64.b64encode(png).decode()})")


def span(start: datetime, end: datetime) -> str:
    """A stretch of event time."""
    return f"{instant(start)} to {instant(end)}"


def instant(when: datetime) -> str:
    """An instant in UTC, to the second."""
    return f"{when:%Y-%m-%d %H:%M:%S} UTC"
