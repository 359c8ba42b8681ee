"""The HTTP service of a task: schemas, guard, model slots, endpoints.

What a feature is lives in `feature_defs`, how a model predicts in `ct_assets.learners`, who is champion in
`ct_assets.release`. Nothing here imports Dagster, and nothing imports this package.
"""
