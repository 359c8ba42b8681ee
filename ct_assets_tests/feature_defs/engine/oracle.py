"""Brute force: every feature from its definition, with plain loops and Fractions. Independent of the engine.

It shares no code with what it checks and knows nothing of speed.
"""

import math
from fractions import Fraction

import polars as pl

from feature_defs.columns import Decimal, Real
from feature_defs.feature import Row
from feature_defs.stream import Label

DAY = {"s": 10**6, "m": 60 * 10**6, "h": 3600 * 10**6, "d": 86400 * 10**6}


def width(text):
    return int(text[:-1]) * DAY[text[-1]]


def micros(frame, name):
    return frame[name].cast(pl.Datetime("us", "UTC")).to_physical().to_list()


def passing(stream, events, where):
    if where is None:
        return [True] * len(events)
    named = events.rename({"event_id": stream.key, "event_time": stream.time})
    return [bool(named[i : i + 1].select(where).item()) for i in range(len(events))]


def first_arrivals(events):
    """Row numbers of the events that count: per id the first to arrive, of those the first given."""
    best = {}
    for row, (name, known) in enumerate(zip(events["event_id"], micros(events, "available_at"), strict=True)):
        if name not in best or known < best[name][0]:
            best[name] = (known, row)
    return [row for _, row in best.values()]


def aggregate(kind, column, values):
    """`values` in order of (time, id); None is null."""
    present = [value for value in values if value is not None]
    if kind == "count":
        return len(values)
    if kind == "distinct":
        return len(set(present))
    real = isinstance(column, Real)
    scale = 10**column.decimals if isinstance(column, Decimal) else 1
    if kind == "sum":
        if not real:
            return float(sum((Fraction(value, scale) for value in present), Fraction(0)))
        total = 0.0
        for value in present:
            total += value
        return total
    if not present:
        return None
    if kind in ("min", "max", "last"):
        value = {"min": min, "max": max, "last": lambda them: them[-1]}[kind](present)
        return float(value) if real else float(Fraction(value, scale))
    n = len(present)
    if kind == "mean":
        if real:
            return aggregate("sum", column, values) / n
        return float(Fraction(sum(present), n * scale))
    if n < 2:
        return None
    if real:
        center, squares = aggregate("mean", column, values), 0.0
        for value in present:
            # Not `** 2`: pow may differ from the product in the last bit.
            squares += (value - center) * (value - center)
        return math.sqrt(squares / (n - 1))
    numerator = n * sum(value * value for value in present) - sum(present) ** 2
    return math.sqrt(float(numerator) / float(n * (n - 1))) / scale


def word(column, value):
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(column, Decimal):
        return round(Fraction(value) * 10**column.decimals)
    # Zero has one sign.
    return value + 0.0 if isinstance(column, Real) else value


def compute(task, requests, events, labels, mode="as_served"):
    """The vectors of `requests` as a list of lists of window features, in definition order, without row features."""
    stream = task.events
    on_time = mode == "as_if_on_time"
    kept = first_arrivals(events)
    ids, times, known = events["event_id"].to_list(), micros(events, "event_time"), micros(events, "available_at")
    if on_time:
        known = times
    said = {}
    for name, label, kind, at in zip(
        labels["event_id"], labels["label"], labels["kind"], micros(labels, "available_at"), strict=True
    ):
        if kind == "truth" and label is not None:
            said.setdefault(name, []).append((at, label))
    ask_times, ask_known = micros(requests, "event_time"), micros(requests, "available_at")
    if on_time:
        ask_known = ask_times
    vectors = []
    for ask in range(len(requests)):
        vector = []
        for window in task.features:
            if isinstance(window, Row):
                continue
            delay = width(window.delay) if window.delay else 0
            who = requests[window.entity.key][ask]
            passed = passing(stream, events, window.where)
            for aggregation in window.aggregations:
                for over in window.over:
                    end = ask_times[ask] - delay
                    rows = []
                    for row in kept:
                        if who is None or events[window.entity.key][row] != who or not passed[row]:
                            continue
                        if not end - width(over) <= times[row] < end:
                            continue
                        if isinstance(window.of, Label):
                            first_known = micros(events, "available_at")[row]
                            heard = [one for one in said.get(ids[row], []) if one[0] > first_known]
                            if on_time:
                                heard = heard if times[row] + width(window.of.horizon) < ask_known[ask] else []
                            else:
                                heard = [one for one in heard if one[0] < ask_known[ask]]
                            if heard:
                                rows.append((times[row], ids[row], max(heard)[1]))
                        elif known[row] < ask_known[ask]:
                            column = stream.columns.get(aggregation.column)
                            value = events[aggregation.column][row] if aggregation.column else None
                            rows.append((times[row], ids[row], word(column, value)))
                    rows.sort(key=lambda one: one[:2])
                    column = None if isinstance(window.of, Label) else stream.columns.get(aggregation.column)
                    vector.append(aggregate(aggregation.kind, column, [one[2] for one in rows]))
        vectors.append(vector)
    return vectors
