"""Bodies to events and back, for streams of every kind of column."""

import datetime as dt
import json

import jsonschema
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bento import instants, openapi
from bento.refusal import Refusal
from bento.schemas import Schemas
from ct_assets_tests.bento import worlds
from feature_defs.card_fraud import task
from feature_defs.columns import EXACT_LIMIT, Decimal, Flag, Int32, Int64, Money, Real, Text
from feature_defs.feature import Row
from feature_defs.stream import Label, Stream
from feature_defs.task import Task

CARDS = Schemas(task)


NUMBERED = Int64()


def make(columns, *, key_type=NUMBERED, time_zone="UTC") -> Schemas:
    """The schemas of a task with one stream."""
    stream = Stream("visits", key="visit", time="at", columns=columns, key_type=key_type, time_zone=time_zone)
    return Schemas(
        Task(
            "visits",
            "Visits.",
            events=stream,
            label=Label("sale", of=stream, column="sale", horizon="1d"),
            features=(Row("hour", pl.col("at").dt.hour()),),
            learner=task.learner,
            policy=task.policy,
            gates=task.gates,
        )
    )


EVERY = {
    "small": Int32(),
    "large": Int64(min=-5),
    "note": Text(nullable=True),
    "price": Money(min=0),
    "weight": Decimal(decimals=4, nullable=True),
    "speed": Real(max=10.0),
    "member": Flag(nullable=True),
}

events = st.fixed_dictionaries(
    {
        "visit": st.text(max_size=30).filter(lambda text: text.isprintable()),
        "at": st.datetimes(dt.datetime(1700, 1, 1), dt.datetime(2261, 1, 1), timezones=st.just(dt.UTC)),
        "small": st.integers(-(2**31), 2**31 - 1),
        "large": st.integers(-5, 2**63 - 1),
        "price": st.floats(0, EXACT_LIMIT / 100),
        "speed": st.floats(max_value=10.0, allow_infinity=False, allow_nan=False),
    },
    optional={
        "note": st.none() | st.text(max_size=30).filter(lambda text: text.isprintable()),
        "weight": st.none() | st.floats(-EXACT_LIMIT / 10_000, EXACT_LIMIT / 10_000),
        "member": st.none() | st.booleans(),
    },
)


@given(events)
def test_every_value_arrives_as_it_was_sent(row) -> None:
    schemas = make(EVERY, key_type=Text())
    body = json.dumps({"events": [row | {"at": row["at"].isoformat()}]}).encode()
    [[read], single] = schemas.read_events(body)
    assert single is False
    assert read.event_id == row["visit"]
    assert instants.EPOCH + dt.timedelta(microseconds=read.event_time_us) == row["at"]
    assert read.values == {name: row.get(name) for name in EVERY}


@given(st.datetimes(dt.datetime(1700, 1, 1), dt.datetime(2261, 1, 1)), st.integers(-14 * 60, 14 * 60))
def test_an_offset_moves_the_instant(naive: dt.datetime, minutes: int) -> None:
    there = naive.replace(tzinfo=dt.timezone(dt.timedelta(minutes=minutes)))
    expected = (naive - dt.datetime(1970, 1, 1)) // dt.timedelta(microseconds=1) - minutes * 60_000_000
    assert instants.microseconds(there, "UTC") == expected


def test_a_time_without_an_offset_is_read_in_the_streams_zone() -> None:
    berlin = make({}, time_zone="Europe/Berlin")
    [[read], _] = berlin.read_events(b'{"events": [{"visit": 1, "at": "2018-07-01T12:00:00"}]}')
    assert instants.text(read.event_time_us) == "2018-07-01T10:00:00Z"


@pytest.mark.parametrize("twice_or_never", ["2018-10-28T02:30:00", "2018-03-25T02:30:00"])
def test_a_time_that_the_clocks_show_twice_or_never_is_refused(twice_or_never: str) -> None:
    berlin = make({}, time_zone="Europe/Berlin")
    with pytest.raises(Refusal, match="twice or never"):
        berlin.read_events(b'{"events": [{"visit": 1, "at": "%s"}]}' % twice_or_never.encode())


@pytest.mark.parametrize(
    ("column", "value"),
    [
        (Text(), "x" * 121),
        (Text(), 3),
        (Flag(), 1),
        (Real(min=0), -1e-300),
        (Money(), EXACT_LIMIT / 100 + 1),
        (Int64(), -(2**63)),
        (Int32(max=7), 8),
    ],
)
def test_a_value_that_does_not_fit_its_column_is_refused(column, value) -> None:
    body = json.dumps({"events": [{"visit": 1, "at": "2018-07-01T12:00:00Z", "column": value}]}).encode()
    with pytest.raises(Refusal) as refused:
        make({"column": column}).read_events(body)
    assert refused.value.status == 422
    assert refused.value.write.startswith("column: ")


def test_half_a_surrogate_pair_is_not_text() -> None:
    with pytest.raises(Refusal):
        make({"note": Text()}).read_events(
            b'{"events": [{"visit": 1, "at": "2018-07-01T12:00:00Z", "note": "\\ud800"}]}'
        )


@pytest.mark.parametrize("schemas", [CARDS, make(EVERY, key_type=Text())])
def test_the_openapi_page_describes_what_is_taken(schemas: Schemas) -> None:
    page = openapi.document(schemas)
    definitions = {"components": page["components"]}
    request = page["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
    jsonschema.Draft202012Validator.check_schema(request["schema"] | definitions)
    for body in (request["example"], request["example"]["events"][0]):
        jsonschema.validate(body, request["schema"] | definitions)
        assert len(schemas.read_events(json.dumps(body).encode())[0]) == 1
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"events": [{"visit": 1}]}, request["schema"] | definitions)
    labels = page["paths"]["/labels"]["post"]["requestBody"]["content"]["application/json"]
    jsonschema.validate(labels["example"], labels["schema"] | definitions)
    assert len(schemas.read_labels(json.dumps(labels["example"]).encode())) == 1


def test_answers_are_what_the_openapi_page_says(client) -> None:
    page = client.get("/docs.json").json()
    bodies = {"/predict": {"events": [worlds.event(1)]}, "/labels": {"labels": [worlds.label(1)]}}
    for path, body in bodies.items():
        responses = page["paths"][path]["post"]["responses"]
        for answer in (client.post(path, json=body), client.post(path, json={})):
            schema = responses[str(answer.status_code)]["content"]["application/json"]["schema"]
            jsonschema.validate(answer.json(), schema | {"components": page["components"]})
