"""The columns of the ledger's two tables. Their rows as structs are in `records`, reading and writing in `ledger`."""

import polars as pl

from ct_assets.lake.tables import INSTANT, Table

MODEL_VERSIONS = Table(
    "model_versions",
    {
        "task": pl.String(),
        "version": pl.Int64(),
        "digest": pl.String(),
        "as_of": INSTANT,
        "window_from": INSTANT,
        "window_to": INSTANT,
        "data_from": INSTANT,
        "holdout_from": INSTANT,
        "holdout_to": INSTANT,
        "label_cutoff": INSTANT,
        "rows": pl.Int64(),
        "positives": pl.Int64(),
        "holdout_rows": pl.Int64(),
        "holdout_positives": pl.Int64(),
        "feature_hash": pl.String(),
        "feature_names": pl.List(pl.String()),
        "table_versions": pl.String(),
        "learner": pl.String(),
        "parameters": pl.String(),
        "seed": pl.Int64(),
        "threads": pl.Int64(),
        "trigger": pl.String(),
        "evidence": pl.String(),
        "metrics": pl.String(),
        "code_revision": pl.String(),
        "run_id": pl.String(),
        "model_id": pl.String(),
        "sha256": pl.String(),
        "size": pl.Int64(),
    },
    arrival="as_of",
)

DECISIONS = Table(
    "decisions",
    {
        "decision_id": pl.String(),
        "task": pl.String(),
        "version": pl.Int64(),
        "kind": pl.String(),
        "name": pl.String(),
        "outcome": pl.String(),
        "detail": pl.String(),
        "champion": pl.Int64(),
        "as_of": INSTANT,
        "decided_at": INSTANT,
        "run_id": pl.String(),
        "method": pl.String(),
        "estimate": pl.Float64(),
        "low": pl.Float64(),
        "high": pl.Float64(),
        "margin": pl.Float64(),
        "needs": pl.Int64(),
        "sample": pl.String(),
    },
    arrival="decided_at",
)

# Columns whose structs hold mappings; stored as JSON text, since their keys differ from task to task.
JSON_COLUMNS = ("table_versions", "parameters", "evidence", "metrics", "sample")
