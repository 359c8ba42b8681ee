"""The way into the Delta lake, and the way it is read: tables, contracts, sources, exactly-once delivery.

Plain Python over Polars; Dagster is in `ct_assets.assets`, what the rows mean in `feature_defs`.
"""
