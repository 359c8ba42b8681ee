"""The online store: latency of a vector, cost of an event, rebuild, a hot entity, and a replay compared bit by bit.

    python -m benchmarks.features_online [--quick] [--json FILE]

Latencies are wall time per call in one process, without HTTP; `--quick` replays and rebuilds a tenth of the events.
"""

import json
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter_ns, process_time
from typing import Annotated

import numpy as np
import polars as pl
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from feature_defs.card_fraud import task
from feature_defs.engine import journal, offline, skew, statements
from feature_defs.engine.online import OnlineStore
from feature_defs.engine.records import Event, Scored, Statement
from feature_defs.stream import INSTANT

DAY = 86_400_000_000
CUSTOMERS, TERMINALS = 5_000, 10_000
BATCH = 100
BOOT_DAYS = 136


@dataclass(frozen=True)
class Line:
    """One figure, and what it is to be compared with."""

    what: str
    figure: str
    target: str = ""


def payments(rows: int, days: int, seed: int) -> pl.DataFrame:
    """Payments in order of time, a tenth of them of ten hot customers."""
    random = np.random.default_rng(seed)
    customers = random.integers(0, CUSTOMERS, rows)
    hot = random.random(rows) < 0.1
    times = np.sort(random.integers(0, days * 86_400, rows)) * 1_000_000
    return pl.DataFrame(
        {
            "event_id": np.arange(rows),
            "event_time": times,
            "available_at": times,
            "customer_id": np.where(hot, customers % 10, customers).astype(np.int32),
            "terminal_id": random.integers(0, TERMINALS, rows, dtype=np.int32),
            "amount": random.integers(1, 20_000, rows) / 100,
            "is_fraud": (random.random(rows) < 0.01).astype(np.int8),
        }
    ).cast({"event_time": INSTANT, "available_at": INSTANT})


def requests(frame: pl.DataFrame) -> list[Event]:
    """The rows of a frame as requests."""
    named = frame.with_columns(pl.col("event_time").to_physical()).iter_rows(named=True)
    return [
        Event(row["event_id"], row["event_time"], {name: row[name] for name in task.events.columns}) for row in named
    ]


def predict(vectors: np.ndarray) -> list[Scored]:
    """A model that costs nothing, so that the store is what is measured."""
    return [Scored(0.5, False, 1)] * len(vectors)


def latencies(action: Callable[[Event], object], events: list[Event]) -> str:
    """Median and 99th percentile in microseconds."""
    taken = []
    for event in events:
        begun = perf_counter_ns()
        action(event)
        taken.append(perf_counter_ns() - begun)
    half, tail = np.percentile(taken, [50, 99]) / 1000
    return f"p50 {half:.1f} us, p99 {tail:.1f} us"


def rebuild(store: OnlineStore, history: pl.DataFrame) -> Line:
    """Bootstrap from frames as the lake would give them."""
    labels = statements.from_rule(task, history).filter(pl.col("available_at") <= history["available_at"].max())
    begun = process_time()
    store.bootstrap(history, labels)
    return Line(f"rebuild from {len(history):,} events", f"{process_time() - begun:.2f} CPU s", "5 CPU s at 1.3M")


def reading(store: OnlineStore, events: list[Event]) -> list[Line]:
    """Vectors, with and without row expressions."""
    out = np.empty(len(task.feature_names))

    def windows(event: Event) -> None:
        store.environment.read(lambda transaction: store._histories.read(transaction, event, out))

    return [
        Line("window features of customer and terminal", latencies(windows, events), "p50 20 us, p99 60 us"),
        Line("whole vector, row expressions included", latencies(store.vector, events)),
    ]


def applying(store: OnlineStore, events: list[Event]) -> list[Line]:
    """Events taken in one by one, and in batches."""
    few, half = len(events) // 4, len(events) // 2
    counted = [True] * len(store.plan.histories)
    taken: list[int] = []

    def apply(transaction: object) -> None:
        for event in events[:few]:
            begun = perf_counter_ns()
            store._histories.apply(transaction, event, event.event_time_us, counted)
            taken.append(perf_counter_ns() - begun)

    store.environment.write(apply)
    half_us, tail_us = np.percentile(taken, [50, 99]) / 1000
    single = latencies(lambda event: store.observe([event], predict), events[few:half])
    begun = process_time()
    for at in range(half, len(events), BATCH):
        store.observe(events[at : at + BATCH], predict)
    rate = (len(events) - half) / (process_time() - begun)
    return [
        Line("apply one event to the states", f"p50 {half_us:.1f} us, p99 {tail_us:.1f} us", "p50 15 us"),
        Line("one request: vector, row expressions, apply, journal, commit", single),
        Line(f"answer, apply and journal, {BATCH} a commit", f"{rate:,.0f} events / CPU s", "12,000 / s"),
    ]


def hot_entity(folder: Path, rows: int) -> Line:
    """A customer with very many events in the window."""
    frame = payments(rows, 29, 5).with_columns(customer_id=pl.lit(1, dtype=pl.Int32))
    with OnlineStore.open(folder, task) as store:
        store.bootstrap(frame, statements.from_rule(task, frame).clear())
        asked = [Event(-1 - n, 29 * DAY + n, {"customer_id": 1, "terminal_id": n, "amount": 1.0}) for n in range(200)]
        out = np.empty(len(task.feature_names))
        taken = latencies(
            lambda event: store.environment.read(lambda txn: store._histories.read(txn, event, out)), asked
        )
    return Line(f"entity with {rows:,} events in the window", taken, "p99 200 us")


def replay(folder: Path, rows: int) -> Line:
    """Events, some late, and labels, some corrected, through restarts; then every vector against offline."""
    random = np.random.default_rng(9)
    frame = payments(rows, 60, 9)
    late = np.where(random.random(rows) < 0.01, random.integers(0, DAY, rows), 0)
    arrival = frame["event_time"].to_physical().to_numpy() + late
    order = np.argsort(arrival, kind="stable")
    events = requests(frame[order])
    due = arrival[order] + 7 * DAY + random.integers(0, 3 * DAY, rows)
    told = [Statement(events[n].event_id, int(n) % 2, "truth", int(due[n])) for n in np.argsort(due, kind="stable")]
    store, place = OnlineStore.open(folder, task), 0
    for at in track(range(0, rows, BATCH), description="replay", transient=True):
        batch = events[at : at + BATCH]
        ready = place
        while ready < len(told) and told[ready].known_at_us <= batch[0].event_time_us:
            ready += 1
        if ready > place:
            store.label(told[place:ready])
            # One in a batch is corrected later.
            store.label([Statement(told[place].event_id, 1 - told[place].label, "truth", batch[0].event_time_us)])
            place = ready
        store.observe(batch, predict)
        if at // BATCH % 500 == 499:
            store.close()
            store = OnlineStore.open(folder, task)
    found = compare(store)
    store.close()
    return Line(f"replay of {rows:,} events", f"{found.mismatched} of {found.compared:,} values differ", "0")


def compare(store: OnlineStore) -> skew.Skew:
    """The journal's vectors against offline ones, over what the journal holds."""
    records = {kind: journal.read(store, kind, 0, 10**9) for kind in ("events", "labels", "predictions")}
    asked = _frame(records["predictions"])
    labels = pl.DataFrame(
        {
            "event_id": [one.event_id for one in records["labels"]],
            "label": [one.label for one in records["labels"]],
            "kind": [one.kind for one in records["labels"]],
            "available_at": [one.available_at for one in records["labels"]],
        },
        schema={"event_id": pl.Int64, "label": pl.Int8, "kind": pl.String, "available_at": pl.Int64},
    ).cast({"available_at": INSTANT})
    vectors = np.array([one.vector for one in records["predictions"]])
    served = pl.DataFrame(vectors, schema=list(task.feature_names)).insert_column(0, asked["event_id"])
    again = offline.compute(task, asked, _frame(records["events"]), labels)
    return skew.compare(served, again, task.feature_names)


def _frame(records: list[journal.EventRecord]) -> pl.DataFrame:
    columns = {name: [one.values[name] for one in records] for name in task.events.columns}
    for name in ("event_id", "event_time", "available_at"):
        columns[name] = [getattr(one, name) for one in records]
    schema = {name: pl.Int64 if kind == INSTANT else kind for name, kind in task.events.schema.items()}
    return pl.DataFrame(columns, schema_overrides=schema).cast({"event_time": INSTANT, "available_at": INSTANT})


def main(
    quick: Annotated[bool, typer.Option(help="A tenth of the events.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Where to write the figures.")] = None,
) -> None:
    """Measure and print the table."""
    boot, live, replayed = (130_000, 4_000, 50_000) if quick else (1_300_000, 40_000, 1_000_000)
    lines = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        frame = payments(boot + live, BOOT_DAYS, 3)
        fresh = requests(frame[boot:])
        with OnlineStore.open(folder / "store", task) as store:
            store.bootstrap(frame[:1000], statements.from_rule(task, frame[:0]))
            store.vector(fresh[0])
            lines.append(rebuild(store, frame[:boot]))
            lines += reading(store, fresh)
            lines += applying(store, fresh)
        lines.append(hot_entity(folder / "hot", boot // 13 * 10))
        lines.append(replay(folder / "replay", replayed))
    table = Table("what", "measured", "target")
    for line in lines:
        table.add_row(line.what, line.figure, line.target)
    Console().print(table)
    if json_file is not None:
        json_file.write_text(json.dumps([asdict(line) for line in lines], indent=2))


if __name__ == "__main__":
    typer.run(main)
