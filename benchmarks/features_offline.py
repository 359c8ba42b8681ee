"""The offline executor beside Polars and DuckDB, and from file to file: CPU seconds, rows per second, peak memory.

    python -m benchmarks.features_offline [--quick] [--json FILE] [--data FILE]

Every figure is the median of several runs in this process; peers run here too, in their fastest form known to us.
`--quick` takes a tenth of the rows. The real card file is used when it is there.
"""

import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Annotated

import numpy as np
import polars as pl
import typer
from rich.console import Console
from rich.table import Table

from benchmarks import _handbook as handbook
from feature_defs import card_fraud
from feature_defs.aggregation import count, mean
from feature_defs.columns import Int32, Money
from feature_defs.engine import files, offline, statements
from feature_defs.engine.arrangement import arrange
from feature_defs.entity import Entity
from feature_defs.feature import Window
from feature_defs.learner import BoostedTrees
from feature_defs.policy import Gates, Policy
from feature_defs.stream import INSTANT, Label, Stream
from feature_defs.task import Task

WIDTHS = ("1d", "7d", "30d")
DAYS = 180
CUSTOMERS = 5_000


@dataclass(frozen=True)
class Line:
    """One measurement: median CPU and wall seconds of `runs`."""

    what: str
    rows: int
    cpu: float
    wall: float
    runs: int
    note: str = ""

    @property
    def rate(self) -> float:
        """Million rows per CPU second."""
        return self.rows / self.cpu / 1e6


def sliding_task() -> Task:
    """One entity, count and mean over three widths: the task every engine here can express."""
    stream = Stream("payments", key="id", time="at", columns={"customer": Int32(), "amount": Money(min=0, max=1e6)})
    customer = Entity("customer", key="customer")
    return Task(
        "sliding",
        "Count and mean over one, seven and thirty days.",
        events=stream,
        label=Label("bad", of=stream, column="bad", horizon="7d"),
        features=(Window(customer, stream, [count(), mean("amount")], over=WIDTHS),),
        learner=BoostedTrees(),
        policy=Policy(window="30d", holdout="7d", cadence="7d", volume=1),
        gates=Gates(margin=0.1, cluster=(customer,)),
    )


def history(rows: int) -> pl.DataFrame:
    """Events in order of time, in whole seconds, over half a year."""
    random = np.random.default_rng(1)
    times = np.sort(random.integers(0, DAYS * 86400, rows)) * 1_000_000
    return pl.DataFrame(
        {
            "event_id": np.arange(rows),
            "event_time": times,
            "available_at": times,
            "customer": random.integers(0, CUSTOMERS, rows, dtype=np.int32),
            "amount": random.integers(1, 20_000, rows) / 100,
        }
    ).cast({"event_time": INSTANT, "available_at": INSTANT})


def timed(what: str, rows: int, action: Callable[[], object], runs: int, note: str = "") -> Line:
    """Run `action` and take medians; once before, unmeasured, when there are several runs."""
    if runs > 1:
        action()
    cpu, wall = [], []
    for _ in range(runs):
        begun, started = process_time(), perf_counter()
        action()
        cpu.append(process_time() - begun)
        wall.append(perf_counter() - started)
    return Line(what, rows, median(cpu), median(wall), runs, note)


def ours(events: pl.DataFrame, runs: int) -> list[Line]:
    """The executor, with one thread and with two."""
    task = sliding_task()
    labels = pl.DataFrame(schema=statements.schema(task))
    offline.compute(task, events[:1000], events[:1000], labels)
    return [
        timed(
            f"ours, {threads} thread{'s' * (threads > 1)}",
            len(events),
            lambda threads=threads: offline.compute(task, events, events, labels, threads=threads),
            runs,
        )
        for threads in (1, 2)
    ]


def limit(events: pl.DataFrame, runs: int) -> Line:
    """What any exact engine pays: read three columns, counting sort, gather."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "events.parquet"
        events.select("customer", "event_time", "amount").write_parquet(path)
        none = np.empty(0, np.int64)

        def run() -> None:
            frame = pl.read_parquet(path)
            cents = np.rint(frame["amount"].to_numpy() * 100).astype(np.int64)[None, :]
            ids = frame["customer"].to_numpy()
            arrange(ids, CUSTOMERS, frame["event_time"].to_physical().to_numpy(), none, cents)

        run()
        return timed("limit: read, counting sort, gather", len(events), run, runs)


def polars(events: pl.DataFrame) -> list[Line]:
    """Polars on naive times, which it slides over faster than over times with a zone."""
    plain = events.select(pl.col("event_time").dt.replace_time_zone(None), "customer", "amount", one=1)

    def grouped() -> None:
        for width in WIDTHS:
            windows = plain.lazy().rolling("event_time", period=width, group_by="customer", closed="left")
            windows.agg(pl.len(), pl.col("amount").mean()).collect()

    def over() -> None:
        amount = pl.col("amount")
        plain.lazy().select(
            *(
                amount.rolling_mean_by("event_time", width, closed="left").over("customer").alias(width)
                for width in WIDTHS
            ),
            *(
                pl.col("one").rolling_sum_by("event_time", width, closed="left").over("customer").alias(f"n{width}")
                for width in WIDTHS
            ),
        ).collect()

    return [
        timed("Polars rolling(group_by=)", len(events), grouped, 1),
        timed("Polars rolling_*_by().over()", len(events), over, 3),
    ]


def duckdb(events: pl.DataFrame) -> Line:
    """DuckDB's RANGE frames; one run, it is the slowest."""
    import duckdb

    table = events.select(pl.col("event_time").dt.replace_time_zone(None), "customer", "amount").to_arrow()
    frames = ", ".join(f"count(*) over w{width} as n{width}, avg(amount) over w{width} as m{width}" for width in WIDTHS)
    windows = ", ".join(
        f"w{width} as (partition by customer order by event_time range between interval {width[:-1]} day preceding "
        "and interval 1 microsecond preceding)"
        for width in WIDTHS
    )
    connection = duckdb.connect()
    connection.register("payments", table)
    query = f"create or replace table made as select {frames} from payments window {windows}"  # noqa: S608 our own text
    return timed("DuckDB RANGE", len(events), lambda: connection.execute(query), 1)


def card_file(path: Path, runs: int) -> Line:
    """The features of `card_fraud`, Parquet to Parquet."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "features.parquet"
        rows = files.write(card_fraud.task, path, out)
        return timed("card_fraud, Parquet to Parquet", rows, lambda: files.write(card_fraud.task, path, out), runs)


def large_file(rows: int) -> Line:
    """A file of `rows` payments through `ct features` in a process of its own, which tells its peak memory."""
    with tempfile.TemporaryDirectory() as folder:
        path, out = Path(folder) / "events.parquet", Path(folder) / "features.parquet"
        random = np.random.default_rng(2)
        history(rows).select(
            transaction_id="event_id",
            tx_time="event_time",
            customer_id="customer",
            terminal_id=pl.Series(random.integers(0, 2 * CUSTOMERS, rows, dtype=np.int32)),
            amount="amount",
            is_fraud=pl.Series((random.random(rows) < 0.01).astype(np.int8)),
        ).write_parquet(path, row_group_size=500_000)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        started = perf_counter()
        script = "from ct_assets.cli.features import app; app()"
        arguments = ["card_fraud", "--events", str(path), "--out", str(out)]
        subprocess.run([sys.executable, "-c", script, *arguments], check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        peak = after.ru_maxrss / 2**20
        return Line("ct features, synthetic payments", rows, cpu, perf_counter() - started, 1, f"peak {peak:.1f} GiB")


def main(
    quick: Annotated[bool, typer.Option(help="A tenth of the rows.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Where to write the figures.")] = None,
    data: Annotated[Path | None, typer.Option(help="The real card file.")] = None,
) -> None:
    """Measure and print the table."""
    console = Console()
    rows, runs = (1_000_000, 3) if quick else (10_000_000, 5)
    events = history(rows)
    lines = [*ours(events, runs), limit(events, runs), *polars(events), duckdb(events)]
    try:
        lines.append(card_file(handbook.locate(data), runs + 2))
    except handbook.MissingDataError as missing:
        console.print(f"card_fraud on the real file is skipped: {missing}")
    lines.extend(large_file(size) for size in ((1_000_000,) if quick else (1_000_000, 10_000_000)))
    table = Table("what", "rows", "CPU s", "wall s", "M rows / CPU s", "note")
    for line in lines:
        table.add_row(line.what, f"{line.rows:,}", f"{line.cpu:.2f}", f"{line.wall:.2f}", f"{line.rate:.2f}", line.note)
    console.print(table)
    if json_file is not None:
        json_file.write_text(json.dumps([asdict(line) | {"rate": line.rate} for line in lines], indent=2))


if __name__ == "__main__":
    typer.run(main)
