"""A task: one prediction problem, whole. Its name, streams, features, learner and policy, as frozen data."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from feature_defs import canonical, validation
from feature_defs.feature import Row, Window
from feature_defs.learner import BoostedTrees
from feature_defs.policy import Gates, Policy
from feature_defs.stream import Label, Stream


@dataclass(frozen=True)
class Task:
    """Everything the loop needs to know. Adding one is adding a file with one of these.

    `clock` is `"watermark"` (the newest arrival is now, so data of 2018 runs like live data) or `"wall"`.
    """

    name: str
    title: str
    events: Stream
    label: Label
    features: tuple[Row | Window, ...]
    learner: BoostedTrees
    policy: Policy
    gates: Gates
    clock: str = "watermark"

    def __post_init__(self) -> None:
        if self.clock not in ("watermark", "wall"):
            raise ValueError(f"task {self.name}: clock is {self.clock!r}; it is 'watermark' or 'wall'")
        try:
            validation.check(self.events, self.label, self.features)
        except ValueError as error:
            raise ValueError(f"task {self.name}: {error}") from error

    @property
    def rows(self) -> tuple[Row, ...]:
        """Row features in definition order."""
        return tuple(feature for feature in self.features if isinstance(feature, Row))

    @property
    def windows(self) -> tuple[Window, ...]:
        """Window features in definition order."""
        return tuple(feature for feature in self.features if isinstance(feature, Window))

    @cached_property
    def feature_names(self) -> tuple[str, ...]:
        """Columns of a vector, in definition order."""
        return tuple(self._names())

    def _names(self) -> Iterator[str]:
        for feature in self.features:
            if isinstance(feature, Row):
                yield feature.name
            else:
                yield from (column.name for column in feature.features)

    @cached_property
    def canonical(self) -> str:
        """The feature set in canonical form: JSON that two definitions share iff they compute the same columns."""
        return canonical.form(self.events, self.features)

    @cached_property
    def feature_hash(self) -> str:
        """Names the feature set; store keys, manifests, models and vectors carry it."""
        return canonical.fingerprint(self.canonical)
