"""Turns off the usage reporting of every dependency. Call `off` before one of them is imported.

Settings that a user made on purpose are kept.
"""

import os

SWITCHES = {
    "BENTOML_DO_NOT_TRACK": "True",
    "DAGSTER_DISABLE_TELEMETRY": "yes",
    "DO_NOT_TRACK": "1",
    "GX_ANALYTICS_ENABLED": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # Not telemetry: a model directory may name code to run on load, and the default trusts it.
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
}


def off() -> None:
    """Set every switch that is not set yet, for this process and its children."""
    for name, value in SWITCHES.items():
        os.environ.setdefault(name, value)
