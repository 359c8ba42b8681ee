"""What goes over the wire: types made from a task's own stream, so that decoding a body is checking it.

The same types make the OpenAPI page. Reading bodies off a connection and sending answers is in `endpoints`; what an
answer contains is decided at the `desk`.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from bento import instants
from bento.fields import TEXT, column_type, expected
from bento.refusal import Refusal
from feature_defs.columns import Column
from feature_defs.engine.records import Answer, Event, LabelReceipt, Statement
from feature_defs.task import Task

BATCH = 1_000
"""Most events or labels in one request: what one worker answers within some milliseconds."""


@dataclass(frozen=True)
class Schemas:
    """Reads and writes the bodies of one task. Everything is by the stream's own names."""

    task: Task

    @cached_property
    def event(self) -> Any:
        """One event: its key, its time and the columns of the stream; nothing else is accepted."""
        stream = self.task.events
        fields = [(stream.key, column_type(stream.key_type)), (stream.time, instants.Instant)]
        required = [(name, column_type(column)) for name, column in stream.columns.items() if not column.nullable]
        optional = [(name, column_type(column), None) for name, column in stream.columns.items() if column.nullable]
        return _struct("Event", [*fields, *required, *optional])

    @cached_property
    def predict_request(self) -> Any:
        """Events to be scored, in order."""
        return _struct("PredictRequest", [("events", _rows(self.event))])

    @cached_property
    def label(self) -> Any:
        """How one event turned out, and when that became known."""
        once = "Names this statement: sent again under the same name, it counts once."
        kinds = Annotated[Literal["truth", "proxy"], Meta(description="Only `truth` trains and counts in features.")]
        stream = self.task.events
        return _struct(
            "Label",
            [
                (stream.key, column_type(stream.key_type)),
                ("label", Literal[0, 1]),
                ("known_at", instants.Instant),
                ("kind", kinds, "truth"),
                ("statement_id", Annotated[str, Meta(max_length=TEXT, description=once)] | None, None),
            ],
        )

    @cached_property
    def labels_request(self) -> Any:
        """Labels, in order."""
        return _struct("LabelsRequest", [("labels", _rows(self.label))])

    @cached_property
    def prediction(self) -> Any:
        """What is said about one event."""
        stream = self.task.events
        return _struct(
            "Prediction",
            [
                (stream.key, column_type(stream.key_type)),
                ("prediction_id", str),
                ("score", Annotated[float, Meta(description="Probability of the label being 1.")]),
                ("decision", Annotated[bool, Meta(description="Whether the score reached the threshold.")]),
                ("version", Annotated[int, Meta(description="Model version that scored the event.")]),
                ("role", str),
                ("feature_hash", Annotated[str, Meta(description="Names the feature set.")]),
                ("repeated", Annotated[bool, Meta(description="The event was known: this is the first answer again.")]),
            ],
        )

    @cached_property
    def predictions(self) -> Any:
        """Answers in the order of the events."""
        return _struct("Predictions", [("predictions", _rows(self.prediction))])

    @cached_property
    def receipt(self) -> Any:
        """What became of one label."""
        stream = self.task.events
        accepted = Meta(description="False: the event was unknown when the label arrived; kept, without effect.")
        return _struct(
            "Receipt",
            [
                (stream.key, column_type(stream.key_type)),
                ("accepted", Annotated[bool, accepted]),
                ("repeated", Annotated[bool, Meta(description="The statement was known: this is its first receipt.")]),
                ("sequence", int),
                ("available_at", Annotated[str, Meta(extra_json_schema={"format": "date-time"})]),
            ],
        )

    @cached_property
    def receipts(self) -> Any:
        """Receipts in the order of the labels."""
        return _struct("Receipts", [("receipts", _rows(self.receipt))])

    def read_events(self, body: bytes) -> tuple[list[Event], bool]:
        """The events of a body, and whether it was one bare event.

        Raises:
            Refusal: 400 when the body is not JSON, 422 when it is not what the stream declares.
        """
        try:
            rows, single = self._events.decode(body).events, False
        except (msgspec.DecodeError, RecursionError) as wrong:
            if not isinstance(wrong, msgspec.ValidationError) or _has_key(body, "events"):
                raise self._refusal(wrong, self.task.events.columns) from None
            rows, single = [self._one_event(body)], True
        key, time, names = self.task.events.key, self.task.events.time, self._names
        return [
            Event(
                event_id=getattr(row, key),
                event_time_us=self._microseconds(getattr(row, time), time, number),
                values={name: getattr(row, name) for name in names},
            )
            for number, row in enumerate(rows)
        ], single

    def read_labels(self, body: bytes) -> list[Statement]:
        """The label statements of a body.

        Raises:
            Refusal: 400 when the body is not JSON, 422 when it is not a list of labels.
        """
        try:
            rows = self._labels.decode(body).labels
        except (msgspec.DecodeError, RecursionError) as wrong:
            raise self._refusal(wrong, {"label": None, "known_at": None, "kind": None}) from None
        key = self.task.events.key
        return [
            Statement(
                event_id=getattr(row, key),
                label=row.label,
                kind=row.kind,
                known_at_us=self._microseconds(row.known_at, "known_at", number),
                statement_id=row.statement_id,
            )
            for number, row in enumerate(rows)
        ]

    def write_predictions(self, answers: Sequence[Answer], *, single: bool) -> bytes:
        """Answers as JSON: a bare object for a bare event."""
        make = self.prediction
        rows = [
            make(a.event_id, a.prediction_id, a.score, a.decision, a.version, a.role, a.feature_hash, a.repeated)
            for a in answers
        ]
        return self._encoder.encode(rows[0] if single else self.predictions(rows))

    def write_receipts(self, receipts: Sequence[LabelReceipt]) -> bytes:
        """Receipts as JSON."""
        make = self.receipt
        rows = [
            make(r.event_id, r.accepted, r.repeated, r.sequence, instants.text(r.available_at_us)) for r in receipts
        ]
        return self._encoder.encode(self.receipts(rows))

    @cached_property
    def _encoder(self) -> msgspec.json.Encoder:
        return msgspec.json.Encoder()

    @cached_property
    def _events(self) -> Any:
        return msgspec.json.Decoder(self.predict_request)

    @cached_property
    def _event(self) -> Any:
        return msgspec.json.Decoder(self.event)

    @cached_property
    def _labels(self) -> Any:
        return msgspec.json.Decoder(self.labels_request)

    @cached_property
    def _names(self) -> tuple[str, ...]:
        return tuple(self.task.events.columns)

    def _one_event(self, body: bytes) -> Any:
        try:
            return self._event.decode(body)
        except msgspec.DecodeError as wrong:
            raise self._refusal(wrong, self.task.events.columns) from None

    def _microseconds(self, value: dt.datetime, name: str, number: int) -> int:
        try:
            return instants.microseconds(value, self.task.events.time_zone)
        except ValueError as wrong:
            raise Refusal(422, f"row {number}: {name} {wrong}", f"{name}: {instants.EXPECTED}") from None

    def _refusal(self, wrong: Exception, columns: Any) -> Refusal:
        """What was wrong, in the decoder's words, and what the field it names should hold."""
        stream = self.task.events
        if not isinstance(wrong, msgspec.ValidationError):
            return Refusal(400, f"the body is not JSON: {wrong}", 'a JSON object in UTF-8, such as {"events": [...]}')
        message, _, where = str(wrong).partition(" - at `")
        named = where.rstrip("`").rpartition(".")[2]
        described = {stream.key: stream.key_type} | dict(stream.columns)
        if named in (stream.time, "known_at"):
            write = f"{named}: {instants.EXPECTED}"
        elif isinstance(column := described.get(named), Column):
            write = f"{named}: {expected(column)}"
        elif named == "label":
            write = "label: 0 or 1"
        elif named == "kind":
            write = 'kind: "truth" or "proxy"'
        else:
            names = [stream.key, *([stream.time] if columns is stream.columns else []), *columns]
            write = f"1 to {BATCH:,} rows, each with: {', '.join(names)}"
        return Refusal(422, f"{message} at {where.rstrip('`') or '$'}", write)


def _rows(row: Any) -> Any:
    return Annotated[list[row], Meta(min_length=1, max_length=BATCH)]


def _struct(name: str, fields: Sequence[Any]) -> Any:
    # gc=False: rows of plain values cannot form cycles, and the collector need not look at them.
    return msgspec.defstruct(name, fields, frozen=True, forbid_unknown_fields=True, gc=False)


def _has_key(body: bytes, key: str) -> bool:
    try:
        return key in msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, RecursionError):
        return False
