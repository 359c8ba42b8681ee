"""Numbers that decide: when to retrain, on what, and what a candidate must prove. Named, with units."""

from dataclasses import dataclass

from feature_defs.entity import Entity


@dataclass(frozen=True, kw_only=True)
class Policy:
    """When a task retrains, and on which rows.

    `window`: width of event time to train on, ending where `holdout` begins.
    `holdout`: newest mature stretch of event time, kept for the gate and never trained on.
    `cadence`: longest age of the champion's newest training data before a scheduled retrain.
    `volume`: newly matured labels that start a retrain.
    `quarantine_limit`: share of refused rows in a delivery above which nothing downstream runs.
    """

    window: str
    holdout: str
    cadence: str
    volume: int
    quarantine_limit: float = 0.05
    threshold: float = 0.5


@dataclass(frozen=True, kw_only=True)
class Gates:
    """What a candidate must prove against the champion on the holdout.

    `margin`: largest loss of average precision that still counts as no worse.
    `cluster`: entities whose rows repeat; the larger standard error over them decides.
    `replicates` and `confidence` belong to the paired bootstrap, `max_bytes` and `max_row_us` to the model's contract.
    """

    margin: float
    cluster: tuple[Entity, ...]
    replicates: int = 400
    confidence: float = 0.95
    max_bytes: int = 64 * 2**20
    max_row_us: float = 5_000.0
