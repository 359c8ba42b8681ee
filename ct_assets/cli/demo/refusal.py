"""A candidate that learnt nothing: the champion's own rows with their labels shuffled.

It is trained and registered here, outside of the jobs, as somebody would who brings a model from elsewhere.
"""

from ct_assets.cli.demo.stage import Stage
from ct_assets.release import ledger
from ct_assets.release.registry import Registry
from ct_assets.training import selection, training

SEED = 0


def register(stage: Stage) -> int:
    """Train on shuffled labels and enter the version in registry and ledger; doing it again finds the same version."""
    champion = ledger.champion(stage.lake)
    if champion is None:
        raise LookupError("there is no champion whose rows could be shuffled; promote a version first")
    data = selection.select(stage.lake, stage.task, champion.as_of).shuffled(SEED)
    registry = Registry(stage.home.mlflow_db, stage.home.mlflow_artifacts)
    version = training.train(stage.lake, registry, stage.task, data, trigger="hand", run_id="")
    stage.say(f"version {version.version}: {version.rows:,} rows, {data.manifest.alteration}")
    return version.version
