"""A feature set in words, for people: what each column of a vector means and where it comes from."""

from collections.abc import Iterator
from dataclasses import dataclass

from feature_defs.feature import Row, Window, WindowFeature
from feature_defs.stream import Label
from feature_defs.task import Task

_MEANINGS = {
    "count": "number of {rows}",
    "sum": "sum of {value} over {rows}",
    "mean": "mean {value} of {rows}",
    "std": "sample standard deviation of {value} of {rows}",
    "min": "smallest {value} of {rows}",
    "max": "largest {value} of {rows}",
    "last": "{value} of the newest of {rows}",
    "distinct": "number of different {value} of {rows}",
}


@dataclass(frozen=True)
class Description:
    """One column of a vector. Columns of the request itself have neither entity nor window nor delay."""

    name: str
    meaning: str
    entity: str | None
    window: str | None
    delay: str | None
    type: str


def describe(task: Task) -> list[Description]:
    """The columns of a vector in definition order."""
    return [description for feature in task.features for description in _describe(task, feature)]


def _describe(task: Task, feature: Row | Window) -> Iterator[Description]:
    if isinstance(feature, Row):
        yield Description(feature.name, str(feature.expression), None, None, None, "Float64")
        return
    for column in feature.features:
        kind = "Int64" if column.aggregation.whole else "Float64"
        meaning = _meaning(task, feature, column)
        yield Description(column.name, meaning, feature.entity.name, column.width, feature.delay, kind)


def _meaning(task: Task, window: Window, column: WindowFeature) -> str:
    if isinstance(window.of, Label):
        rows, value = f"{task.events.name} with a known {window.of.name} label", window.of.name
    else:
        rows, value = task.events.name, column.aggregation.column or ""
    if window.where is not None:
        rows += f" where {window.where}"
    return _MEANINGS[column.aggregation.kind].format(rows=rows, value=value)
