"""What MLflow is told about a version, in its own types. When it is told is in `registry`."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version as installed
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ct_assets.learners.boosted_trees import BoostedTreesModel

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput, LoggedModelOutput, Metric, Param


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A version as people find it in MLflow. `datasets` says where each table lies and at which Delta version."""

    digest: str
    run_name: str
    params: Mapping[str, Any]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    datasets: Mapping[str, tuple[Path, int]]


def params(entry: Entry) -> "list[Param]":
    """Parameters of the learner."""
    from mlflow.entities import Param

    return [Param(name, str(value)) for name, value in entry.params.items()]


def metrics(values: Mapping[str, float]) -> "list[Metric]":
    """Metrics at step and time 0: logging one again replaces nothing and adds nothing."""
    from mlflow.entities import Metric

    return [Metric(name, value, timestamp=0, step=0) for name, value in values.items()]


def inputs(entry: Entry) -> "list[DatasetInput]":
    """Tables trained from. As metadata only: handing over the rows would profile them for seconds."""
    from mlflow.data.delta_dataset_source import DeltaDatasetSource
    from mlflow.data.meta_dataset import MetaDataset
    from mlflow.entities import DatasetInput, InputTag

    return [
        DatasetInput(
            MetaDataset(
                DeltaDatasetSource(path=str(folder), delta_table_version=version),
                name=table,
                digest=f"v{version}",
            )._to_mlflow_entity(),
            [InputTag("mlflow.data.context", "training")],
        )
        for table, (folder, version) in entry.datasets.items()
    ]


def output(model_id: str) -> "LoggedModelOutput":
    """The model a run made."""
    from mlflow.entities import LoggedModelOutput

    return LoggedModelOutput(model_id, 0)


def save(model: BoostedTreesModel, folder: Path) -> None:
    """Write MLflow's model folder. Signature and requirements are given: guessing them takes 14 s a model."""
    import mlflow.xgboost
    from mlflow.models import ModelSignature
    from mlflow.types.schema import ColSpec, DataType, Schema

    vector = Schema([ColSpec(DataType.double, name, required=False) for name in model.feature_names])
    mlflow.xgboost.save_model(
        model.booster,
        str(folder),
        signature=ModelSignature(vector, Schema([ColSpec(DataType.double, "score")])),
        pip_requirements=[f"{name}=={installed(name)}" for name in ("xgboost", "numpy", "scipy")],
        model_format="ubj",
    )
