"""What goes into and comes out of the online store, as msgspec structs. The journal's records are in `journal`."""

from typing import Any

import msgspec

EventId = int | str


class Event(msgspec.Struct, frozen=True):
    """A request: something that happened, to be scored. `values` are the stream's columns by name."""

    event_id: EventId
    event_time_us: int
    values: dict[str, Any]


class Statement(msgspec.Struct, frozen=True):
    """What somebody says about how an event turned out. With a `statement_id`, saying it twice is saying it once."""

    event_id: EventId
    label: int
    kind: str
    known_at_us: int
    statement_id: str | None = None


class Scored(msgspec.Struct, frozen=True):
    """What a model made of one vector."""

    score: float
    decision: bool
    version: int
    role: str = "champion"
    exposed: bool = True


class Answer(msgspec.Struct, frozen=True):
    """What a request got, and gets again if it is repeated. `vector` is in feature order, NaN where null."""

    event_id: EventId
    prediction_id: str
    sequence: int
    available_at_us: int
    vector: list[float]
    score: float
    decision: bool
    version: int
    role: str
    feature_hash: str
    repeated: bool = False


class LabelReceipt(msgspec.Struct, frozen=True):
    """What became of a statement. `accepted` is False when the event is unknown; `repeated` when it was said before."""

    event_id: EventId
    sequence: int
    available_at_us: int
    accepted: bool
    repeated: bool = False
