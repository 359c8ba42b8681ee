"""From a trained version to the one that serves: ledger, registry, promotion, serving plan.

Importing this package costs nothing: the service reads plans with it. MLflow is imported inside functions.
"""
