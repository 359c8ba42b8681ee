"""Definitions: what is refused, in which words, and what names a feature set."""

import json
import subprocess
import sys

import polars as pl
import pytest

from ct_assets_tests.feature_defs.engine import worlds
from feature_defs import aggregation as agg
from feature_defs import canonical, card_fraud, description, expression
from feature_defs.columns import Int32, Int64, Money, Real, Text
from feature_defs.entity import Entity
from feature_defs.feature import Row, Window
from feature_defs.learner import BoostedTrees
from feature_defs.policy import Gates, Policy
from feature_defs.stream import Label, Stream
from feature_defs.task import Task

COLUMNS = {"who": Int32(), "name": Text(), "amount": Money(min=0, max=1000), "speed": Real(), "size": Int64()}
WHO = Entity("who", key="who")


def stream(columns=None, **more):
    return Stream("visits", key="visit_id", time="at", columns=COLUMNS | (columns or {}), **more)


def task(*features, of=None, **more):
    events = of or stream()
    made = [feature(events) if callable(feature) else feature for feature in features]
    return Task(
        "visits",
        "Visits.",
        events=events,
        label=Label("bad", of=events, column="is_bad", horizon="2d"),
        features=tuple(made),
        learner=BoostedTrees(),
        policy=Policy(window="1d", holdout="1d", cadence="1d", volume=1),
        gates=Gates(margin=0.1, cluster=(WHO,)),
        **more,
    )


def window(*aggregations, over=("1d",), entity=WHO, **more):
    return lambda events: Window(entity, events, list(aggregations), over=list(over), **more)


def labels(*aggregations, **more):
    return lambda events: Window(
        WHO, Label("bad", of=events, column="is_bad", horizon="2d"), list(aggregations), over=["1d"], **more
    )


REFUSED = {
    "an unknown value column": (window(agg.mean("amonut")), "no column amonut; there is: who, name, amount"),
    "an unknown key": (window(agg.count(), entity=Entity("x", key="x")), "no column x"),
    "a key that names nobody": (window(agg.count(), entity=Entity("x", key="amount")), "a key is Int32"),
    "no value column": (window(agg.mean()), r'say of which column, as in mean\("amount"\)'),
    "a mean of text": (window(agg.mean("name")), r'only distinct\("name"\) counts texts'),
    "no aggregation": (window(), "computes nothing"),
    "a width beyond 90 days": (window(agg.count(), over=["91d"]), "91d is outside"),
    "a width below a minute": (window(agg.count(), over=["30s"]), "30s is outside"),
    "a width that is none": (window(agg.count(), over=["week"]), "'week' is not a duration"),
    "a width twice": (window(agg.count(), over=["1d", "1d"]), "who_count_1d.* defined twice"),
    "a label window without a delay": (labels(agg.mean()), 'write delay="2d"'),
    "a column of a label": (labels(agg.mean("amount"), delay="2d"), "rows of a label hold the label alone"),
    "a filter without a name": (window(agg.count(), where=pl.col("amount") > 1), 'add a name, as in name="abroad"'),
    "a filter that is no condition": (window(agg.count(), where=pl.col("amount"), name="x"), "write a comparison"),
    "a filter over a window": (
        window(agg.count(), where=pl.col("who_count_1d") > 1, name="x"),
        "where: no column who_count_1d",
    ),
    "a name of the lake": (Row("score", pl.col("amount")), "score.* taken by the lake"),
    "an expression over what is not there": (Row("x", pl.col("amonut")), "row feature x: no column amonut"),
    "an expression over other rows": (Row("x", pl.col("amount").mean()), "looks at other rows"),
    "an expression over the row before": (Row("x", pl.col("amount").shift(1)), "looks at other rows; use a Window"),
    "an expression that is text": (Row("x", pl.col("name")), "is String; make a number of it"),
    "an expression that does not work": (
        Row("x", pl.col("name").dt.hour()),
        "does not work on these columns",
    ),
    "Python code": (Row("x", pl.col("amount").map_elements(abs, return_dtype=pl.Float64)), "calls Python code"),
    "columns by pattern": (Row("x", pl.col("^a.*$")), "name one column"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_is_refused_with_advice(case):
    feature, message = REFUSED[case]
    with pytest.raises(ValueError, match=f"task visits: .*{message}"):
        task(feature)


def test_a_window_that_no_retention_covers_is_refused():
    with pytest.raises(ValueError, match="reaches back 32 days plus 7d of lateness, but visits is kept for 35d"):
        task(window(agg.count(), over=["30d"], delay="2d"), of=stream(retention="35d"))


def test_bounds_that_overflow_are_refused():
    with pytest.raises(ValueError, match="overflow 64 bits; lower max or decimals"):
        task(window(agg.sum("big")), of=stream({"big": Int64(min=0, max=2**50)}))
    with pytest.raises(ValueError, match="lower max or decimals"):
        task(window(agg.mean("big")), of=stream({"big": Money(decimals=9, min=0, max=1e9)}))
    with pytest.raises(ValueError, match="decimals; exact sums take 0 to 9"):
        stream({"big": Money(decimals=12)})


def test_an_unknown_aggregation_or_clock_is_refused():
    with pytest.raises(ValueError, match="choose from count, sum"):
        agg.Aggregation("median", "amount")
    with pytest.raises(ValueError, match="'watermark' or 'wall'"):
        task(window(agg.count()), clock="sundial")


def test_names_write_themselves():
    made = task(
        window(agg.count(), agg.mean("amount"), over=["15m", "7d"]),
        labels(agg.mean(), delay="0s"),
        window(agg.distinct("name"), where=pl.col("amount") > 9, name="dear"),
    )
    assert made.feature_names == (
        "who_count_15m",
        "who_count_7d",
        "who_amount_mean_15m",
        "who_amount_mean_7d",
        "who_bad_mean_1d",
        "who_dear_name_distinct_1d",
    )


def test_the_hash_of_card_fraud_is_what_it_was():
    # Stores, models and manifests are named by it: it may change only with the definition.
    assert card_fraud.task.feature_hash == "9d764fd2fdec02e5"


def test_the_canonical_form_is_the_same_in_another_process():
    script = "from ct_assets_tests.feature_defs.engine.worlds import make_task; print(make_task().feature_hash)"
    others = {
        subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert others == {worlds.make_task().feature_hash}


FORMS = [
    (pl.col("a") + 1, ["plus", ["column", "a"], ["literal", "int", 1]]),
    (pl.col("a").alias("b"), ["column", "a"]),
    (
        pl.col("a").is_in([1, 2]),
        ["boolean.isin", ["column", "a"], ["literal", "list(int64)", [1, 2]], {"nulls_equal": False}],
    ),
    (
        pl.when(pl.col("f")).then(1.5).otherwise(None),
        ["when", ["column", "f"], ["literal", "float", 1.5], ["literal", "null", None]],
    ),
    (pl.col("a").cast(pl.Float64), ["cast", ["column", "a"], {"Literal": "Float64"}, "strict"]),
    (
        pl.col("t").dt.convert_time_zone("Europe/Paris").dt.hour(),
        ["temporalexpr.hour", ["temporalexpr.converttimezone", ["column", "t"], {"inner": "Europe/Paris"}]],
    ),
]


@pytest.mark.parametrize(("given", "form"), FORMS)
def test_an_expression_has_one_form(given, form):
    assert expression.canonical(given) == form


def test_the_hash_follows_what_is_computed_and_nothing_else():
    made = task(window(agg.mean("amount")))
    same = task(window(agg.mean("amount")), of=stream({"amount": Money(min=0, max=5, nullable=True), "more": Text()}))
    assert made.feature_hash == same.feature_hash
    others = [
        task(window(agg.mean("amount")), of=stream({"amount": Money(decimals=3)})),
        task(window(agg.mean("amount"), delay="1h")),
        task(window(agg.mean("amount"), over=["2d"])),
        task(window(agg.sum("amount"))),
        task(window(agg.mean("amount")), Row("x", pl.col("amount"))),
    ]
    assert len({made.feature_hash, *(other.feature_hash for other in others)}) == 1 + len(others)


def test_a_difference_names_what_was_added_removed_and_changed():
    older = task(window(agg.count(), over=["1d", "7d"]), Row("x", pl.col("amount")))
    newer = task(Row("x", pl.col("amount") * 2), window(agg.count(), over=["1d", "3d"]))
    found = canonical.difference(older.canonical, newer.canonical)
    assert (found.added, found.removed, found.changed) == (("who_count_3d",), ("who_count_7d",), ("x",))
    assert found.moved
    assert canonical.difference(older.canonical, older.canonical).empty


def test_every_column_is_described():
    told = {one.name: one for one in description.describe(card_fraud.task)}
    assert tuple(told) == card_fraud.task.feature_names
    assert told["terminal_fraud_mean_7d"].meaning == "mean fraud of payments with a known fraud label"
    assert (told["terminal_fraud_mean_7d"].window, told["terminal_fraud_mean_7d"].delay) == ("7d", "7d")
    assert (told["customer_count_1d"].type, told["amount"].entity) == ("Int64", None)
    assert json.loads(card_fraud.task.canonical)[0]["name"] == "is_weekend"
