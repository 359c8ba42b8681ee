"""A task with every aggregation, and Hypothesis strategies for small awkward histories of it."""

import polars as pl
from hypothesis import strategies as st

from feature_defs import aggregation as agg
from feature_defs.columns import Flag, Int32, Int64, Money, Real, Text
from feature_defs.entity import Entity
from feature_defs.feature import Row, Window
from feature_defs.learner import BoostedTrees
from feature_defs.policy import Gates, Policy
from feature_defs.stream import Label, Stream
from feature_defs.task import Task

HOUR = 3600 * 10**6
INSTANT = pl.Datetime("us", "UTC")
START = 1_600_000_000 * 10**6 // HOUR * HOUR


def make_task(key_type=None, lateness="400d", retention="4000d", clock="watermark"):
    stream = Stream(
        "visits",
        key="visit_id",
        time="at",
        columns={
            "who": Int32(nullable=True),
            "place": Text(nullable=True),
            "amount": Money(nullable=True),
            "steps": Int64(nullable=True),
            "speed": Real(nullable=True),
            "member": Flag(nullable=True),
        },
        key_type=key_type or Int64(),
        lateness=lateness,
        retention=retention,
    )
    outcome = Label("bad", of=stream, column="is_bad", horizon="2d")
    who, place = Entity("who", key="who"), Entity("place", key="place")
    features = (
        Row("hour", pl.col("at").dt.hour()),
        Row("amount", pl.col("amount")),
        Window(
            who,
            stream,
            [
                agg.count(),
                *(
                    make(column)
                    for column in ("amount", "steps", "speed", "member")
                    for make in (agg.sum, agg.mean, agg.std, agg.min, agg.max, agg.last)
                ),
                *(agg.distinct(column) for column in ("place", "amount", "steps", "speed", "member")),
            ],
            over=["1h", "3h", "2d"],
        ),
        Window(place, stream, [agg.count(), agg.mean("amount")], over=["30m", "1d"], delay="2h"),
        Window(place, stream, [agg.count(), agg.max("amount")], over=["1d"], where=pl.col("amount") > 1, name="big"),
        Window(place, outcome, [agg.count(), agg.sum(), agg.mean(), agg.last()], over=["5h", "3d"], delay="2d"),
        Window(
            who, outcome, [agg.count(), agg.mean()], over=["1d"], delay="1h", where=pl.col("member"), name="members"
        ),
        Row("per_count", pl.col("amount") / pl.col("who_count_3h")),
        Row("above_mean", pl.col("amount") > pl.col("who_amount_mean_2d")),
    )
    return Task(
        "visits",
        "Which visits go bad.",
        events=stream,
        label=outcome,
        features=features,
        learner=BoostedTrees(),
        policy=Policy(window="10d", holdout="2d", cadence="2d", volume=10),
        gates=Gates(margin=0.1, cluster=(who,)),
        clock=clock,
    )


money = st.none() | st.integers(-500, 500).map(lambda cents: cents / 100)


@st.composite
def event(draw, name, late):
    time = START + HOUR * draw(st.integers(0, 60)) // draw(st.sampled_from([1, 1, 2]))
    return {
        "event_id": name,
        "event_time": time,
        "available_at": time + (HOUR * draw(st.integers(0, 20)) if late else 0),
        "who": draw(st.none() | st.integers(-1, 1)),
        "place": draw(st.sampled_from(["a", "b", None])),
        "amount": draw(money),
        "steps": draw(st.none() | st.integers(-3, 3) | st.sampled_from([2**60, -(2**60), 2**53 + 1])),
        "speed": draw(st.none() | st.floats(-1e6, 1e6, width=32)),
        "member": draw(st.none() | st.booleans()),
    }


@st.composite
def histories(draw, text_ids=False, late=None, largest=16):
    """Events (some late, some repeated, many tied), statements (some corrected, some foreign, some early)."""
    late = draw(st.booleans()) if late is None else late
    names = draw(st.lists(st.integers(-5, 20), min_size=1, max_size=largest))
    rows = [draw(event(f"n{name}" if text_ids else name, late)) for name in names]
    statements = [
        {
            "event_id": row["event_id"],
            "label": draw(st.integers(0, 1)),
            "kind": draw(st.sampled_from(["truth", "truth", "truth", "proxy"])),
            "available_at": row["event_time"] + HOUR * draw(st.integers(-1, 80)),
        }
        for row in draw(st.lists(st.sampled_from(rows), max_size=largest))
    ]
    return rows, statements


def event_frame(task, rows):
    whole = {name: pl.Int64 if kind == INSTANT else kind for name, kind in task.events.schema.items()}
    frame = pl.DataFrame(rows, schema=whole, orient="row")
    return frame.cast({"event_time": INSTANT, "available_at": INSTANT})


def label_frame(task, rows):
    schema = {
        "event_id": task.events.key_type.dtype(),
        "label": pl.Int8,
        "kind": pl.String,
        "available_at": pl.Int64,
    }
    return pl.DataFrame(rows, schema=schema, orient="row").cast({"available_at": INSTANT})
