"""The statistics behind every verdict: plain functions of arrays and margins, each with its source.

They know nothing of Dagster, of tables or of who asks; what a verdict leads to is decided in `ct_assets.release`.
"""
