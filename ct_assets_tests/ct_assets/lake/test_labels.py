"""What was known at a cut-off, against a loop over statements."""

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from ct_assets.lake.labels import labeled_events
from ct_assets.lake.tables import INSTANT
from feature_defs.card_fraud import task

START = datetime(2018, 4, 1, tzinfo=UTC)
HORIZON = timedelta(days=7)

events = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 10)), min_size=1, max_size=8)
statements = st.lists(
    st.tuples(st.integers(0, 9), st.integers(0, 1), st.sampled_from(["truth", "truth", "proxy"]), st.integers(0, 40)),
    max_size=20,
    unique_by=lambda statement: (statement[0], statement[2], statement[3]),
)


@given(events, statements, st.integers(0, 40))
def test_a_label_is_the_newest_truth_that_had_arrived(events: list[Any], statements: list[Any], cut: int) -> None:
    as_of = START + timedelta(days=cut)
    frame = pl.DataFrame(
        {
            "event_id": range(len(events)),
            "event_time": [START + timedelta(days=day) for day, _ in events],
            "available_at": [START + timedelta(days=day + late) for day, late in events],
        },
        schema_overrides={"event_time": INSTANT, "available_at": INSTANT},
    )
    said = pl.DataFrame(
        [(event, label, kind, START + timedelta(days=day)) for event, label, kind, day in statements],
        schema={"event_id": pl.Int64, "label": pl.Int8, "kind": pl.String, "available_at": INSTANT},
        orient="row",
    )
    found = labeled_events(task, frame, said, as_of)
    expected = []
    for number, (day, late) in enumerate(events):
        if day + late > cut:
            continue
        heard = sorted(
            (when, label)
            for event, label, kind, when in statements
            if event == number and kind == "truth" and day + late < when <= cut
        )
        when, label = heard[-1] if heard else (None, None)
        known = None if when is None else START + timedelta(days=when)
        expected.append((number, label, known, START + timedelta(days=day) + HORIZON <= as_of, as_of))
    columns = ["event_id", "label", "label_available_at", "mature", "as_of"]
    assert found.select(columns).rows() == expected
    assert labeled_events(task, frame.lazy(), said.lazy(), as_of).equals(found)
