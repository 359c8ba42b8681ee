"""Labels joined to two tables of an entity each: Feast's historical join beside the offline executor.

    python -m benchmarks.features_feast [--quick] [--json FILE]

The work is not the same, and ours is more. Feast looks up: each of its two views holds 1M rows of four ready feature
values, and a label takes the newest row of its customer and of its terminal that is at most 30 days old. Ours computes:
it reads 1M raw rows per entity and gives each label count and mean over 7 and 30 days, exactly. `join_asof` of
Polars is there to tell what the lookup itself costs.

Each side is a whole process, imports included, from Parquet files to a Parquet file: CPU seconds (user and system) and
peak memory as the operating system counted them, medians of the runs. Ours and Polars run once before, unmeasured.
A side that needs more than 8 GiB or 240 s is stopped; then smaller numbers of labels are measured for all of them.

Feast 0.67 gets an environment of its own in `cache` below `CT_HOME`, or else in the system's temporary directory. It is
skipped, with the reason, when it cannot be installed. `--quick` takes 20,000 labels and rows, and installs nothing.
"""

import inspect
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from time import perf_counter, sleep
from typing import Annotated

import numpy as np
import polars as pl
import psutil
import typer
from rich.console import Console
from rich.table import Table

from feature_defs.aggregation import count, mean
from feature_defs.columns import Int32, Money
from feature_defs.engine import offline, statements
from feature_defs.entity import Entity
from feature_defs.feature import Window
from feature_defs.learner import BoostedTrees
from feature_defs.policy import Gates, Policy
from feature_defs.stream import INSTANT, Label, Stream
from feature_defs.task import Task

FEAST = "feast[duckdb]==0.67.0"
ENTITIES = {"customer": 5_000, "terminal": 10_000}
DAYS = 180
SIZE, SMALLER = 1_000_000, (300_000, 100_000)
MEMORY_CAP = 8 * 2**30
WALL_CAP_S = 240
POLL_S = 0.05


class NoFeastError(Exception):
    """Feast cannot be measured here, and why."""


@dataclass(frozen=True)
class Line:
    """One side at one size: medians of `runs` whole processes. `note` says why there is no result."""

    what: str
    labels: int
    cpu: float
    wall: float
    peak_gib: float
    runs: int
    rows_out: int | None
    note: str = ""


def write_tables(folder: Path, labels: int, rows: int) -> None:
    """Labels, and for each entity raw rows and a view of ready values, all in order of time, in whole seconds."""
    random = np.random.default_rng(1)

    def instants(size: int) -> pl.Series:
        return pl.Series(np.sort(random.integers(0, DAYS * 86_400, size)) * 1_000_000).cast(INSTANT)

    def ids(entity: str, size: int) -> np.ndarray:
        return random.integers(0, ENTITIES[entity], size, dtype=np.int32)

    asked = {entity: ids(entity, labels) for entity in ENTITIES}
    asks = pl.DataFrame({"event_id": np.arange(labels), "event_timestamp": instants(labels), **asked})
    asks.write_parquet(folder / "labels.parquet")
    for entity in ENTITIES:
        times, keys = instants(rows), ids(entity, rows)
        values = {f"{entity}_value_{n}": random.random(rows) for n in range(4)}
        view = pl.DataFrame({entity: keys, "event_timestamp": times, **values})
        view.write_parquet(folder / f"{entity}_view.parquet")
        raw = pl.DataFrame({"event_id": np.arange(rows), "event_time": times, entity: keys})
        raw.with_columns(amount=random.integers(1, 20_000, rows) / 100).write_parquet(folder / f"{entity}_raw.parquet")


def task(entity: str) -> Task:
    """Count and mean over 7 and 30 days, of one entity."""
    stream = Stream(f"{entity}_rows", key="id", time="at", columns={entity: Int32(), "amount": Money(min=0, max=1e6)})
    whom = Entity(entity, key=entity)
    return Task(
        f"{entity}_windows",
        "Count and mean over seven and thirty days.",
        events=stream,
        label=Label("bad", of=stream, column="bad", horizon="7d"),
        features=(Window(whom, stream, [count(), mean("amount")], over=("7d", "30d")),),
        learner=BoostedTrees(),
        policy=Policy(window="30d", holdout="7d", cadence="7d", volume=1),
        gates=Gates(margin=0.1, cluster=(whom,)),
    )


def ours(folder: Path) -> None:
    """The windows of every label, from raw rows."""
    asks = pl.read_parquet(folder / "labels.parquet").rename({"event_timestamp": "event_time"})
    asks = asks.with_columns(available_at="event_time")
    made = asks.select("event_id", "event_time", *ENTITIES)
    for entity in ENTITIES:
        definition = task(entity)
        events = pl.read_parquet(folder / f"{entity}_raw.parquet").with_columns(available_at="event_time")
        vectors = offline.compute(definition, asks, events, pl.DataFrame(schema=statements.schema(definition)))
        made = made.hstack(vectors.drop("event_id"))
    made.write_parquet(folder / "out.parquet")


def looked_up(folder: Path) -> None:
    """Feast's lookup as two joins of Polars."""
    made = pl.scan_parquet(folder / "labels.parquet").set_sorted("event_timestamp")
    for entity in ENTITIES:
        view = pl.scan_parquet(folder / f"{entity}_view.parquet").set_sorted("event_timestamp")
        made = made.join_asof(view, on="event_timestamp", by=entity, tolerance="30d", check_sortedness=False)
    made.collect().write_parquet(folder / "out.parquet")


def feast_join(folder: str) -> None:
    """The same lookup by Feast. Its source runs in Feast's environment, where this module cannot be imported."""
    from datetime import timedelta
    from pathlib import Path

    import pandas as pd
    import pyarrow.parquet as pq
    from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig
    from feast.types import Float64
    from feast.value_type import ValueType

    place = Path(folder)
    store = FeatureStore(
        config=RepoConfig(
            project="benchmark",
            provider="local",
            registry=str(place / "registry.db"),
            offline_store={"type": "duckdb"},
            online_store={"type": "sqlite", "path": str(place / "online.db")},
            entity_key_serialization_version=3,
        )
    )
    objects, names = [], []
    for name in ("customer", "terminal"):
        entity = Entity(name=name, join_keys=[name], value_type=ValueType.INT32)
        fields = [Field(name=f"{name}_value_{n}", dtype=Float64) for n in range(4)]
        source = FileSource(path=str(place / f"{name}_view.parquet"), timestamp_field="event_timestamp")
        view = FeatureView(name=f"{name}_view", entities=[entity], ttl=timedelta(days=30), schema=fields, source=source)
        objects += [entity, view]
        names += [f"{view.name}:{field.name}" for field in fields]
    store.apply(objects)
    labels = pd.read_parquet(place / "labels.parquet")
    made = store.get_historical_features(entity_df=labels, features=names).to_arrow()
    pq.write_table(made, place / "out.parquet")


def feast_python(console: Console, *, install: bool) -> Path:
    """The Python of Feast's environment, which is made when it is not there and `install` allows it.

    Raises:
        NoFeastError: the environment is missing and may not be made, or making it failed.
    """
    home = os.environ.get("CT_HOME")
    cache = Path(home).absolute() / "cache" if home else Path(tempfile.gettempdir()) / "ct-benchmarks"
    folder = cache / "feast-0.67.0"
    python = folder / "bin" / "python"
    # Written last, so an installation that was broken off is not taken for one.
    complete = folder / "complete"
    if complete.is_file():
        return python
    if not install:
        raise NoFeastError("its environment is not there yet; a run without --quick makes it")
    console.print(f"installing {FEAST} into an environment of its own", markup=False)
    for command in (
        [sys.executable, "-m", "venv", "--clear", str(folder)],
        [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", FEAST],
    ):
        try:
            done = subprocess.run(command, capture_output=True, text=True)
        except OSError as error:
            raise NoFeastError(f"its environment could not be made: {error}") from error
        if done.returncode:
            said = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[-1]
            raise NoFeastError(f"it could not be installed: {said}")
    complete.touch()
    return python


def own(action: Callable[[Path], None]) -> list[str]:
    """The command that runs a function of this module on a folder."""
    script = (
        f"import sys, pathlib; from {__spec__.name} import {action.__name__} as run; run(pathlib.Path(sys.argv[1]))"
    )
    return [sys.executable, "-c", script]


def foreign(python: Path) -> list[str]:
    """The command that runs `feast_join` on a folder."""
    return [str(python), "-c", f"{inspect.getsource(feast_join)}\nimport sys\nfeast_join(sys.argv[1])"]


def over_cap(process: psutil.Process, wall: float) -> str:
    """Why `process` is to be stopped, or nothing."""
    # It may have ended since it was asked for.
    with suppress(psutil.NoSuchProcess):
        if process.memory_info().rss > MEMORY_CAP:
            return f"stopped: more than {MEMORY_CAP / 2**30:.0f} GiB"
    return f"stopped: more than {WALL_CAP_S} s" if wall > WALL_CAP_S else ""


def run_once(what: str, command: list[str], folder: Path, labels: int) -> Line:
    """One process to its end, or to a cap."""
    out = folder / "out.parquet"
    out.unlink(missing_ok=True)
    environment = os.environ | {"FEAST_USAGE": "False"}
    note, started = "", perf_counter()
    with (folder / "errors.txt").open("w+") as errors:
        child = subprocess.Popen(
            [*command, str(folder)], env=environment, stdout=subprocess.DEVNULL, stderr=errors, text=True
        )
        watched = psutil.Process(child.pid)
        while True:
            done, status, used = os.wait4(child.pid, os.WNOHANG)
            if done:
                break
            note = note or over_cap(watched, perf_counter() - started)
            if note:
                child.kill()
            sleep(POLL_S)
        child.returncode = os.waitstatus_to_exitcode(status)
        errors.seek(0)
        if child.returncode and not note:
            note = f"failed: {(errors.read().strip() or f'exit status {child.returncode}').splitlines()[-1]}"
    # Kilobytes, but bytes on macOS.
    peak = used.ru_maxrss / (2**30 if sys.platform == "darwin" else 2**20)
    rows_out = None if note else pl.scan_parquet(out).select(pl.len()).collect().item()
    return Line(what, labels, used.ru_utime + used.ru_stime, perf_counter() - started, peak, 1, rows_out, note)


def measured(what: str, command: list[str], folder: Path, labels: int, runs: int, *, warm: bool) -> Line:
    """Medians of several processes. The first that is stopped or fails ends it."""
    if warm:
        run_once(what, command, folder, labels)
    lines = []
    for _ in range(runs):
        line = run_once(what, command, folder, labels)
        if line.note:
            return line
        lines.append(line)
    cpu, wall, peak = (median(getattr(line, name) for line in lines) for name in ("cpu", "wall", "peak_gib"))
    return Line(what, labels, cpu, wall, peak, runs, lines[0].rows_out)


def at_size(python: Path | None, labels: int, rows: int, runs: int) -> Iterator[Line]:
    """Every side, on the same files."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # In a process of its own: a child's peak memory is at least what its parent once had.
        writer = get_context("spawn").Process(target=write_tables, args=(folder, labels, rows))
        writer.start()
        writer.join()
        yield measured("ours: windows", own(ours), folder, labels, runs, warm=True)
        yield measured("Polars: lookup", own(looked_up), folder, labels, runs, warm=True)
        if python is not None:
            yield measured("Feast 0.67: lookup", foreign(python), folder, labels, runs, warm=False)


def main(
    quick: Annotated[bool, typer.Option(help="20,000 labels and rows; installs nothing.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Where to write the figures.")] = None,
) -> None:
    """Measure and print the table."""
    console = Console()
    python = None
    try:
        python = feast_python(console, install=not quick)
    except NoFeastError as missing:
        console.print(f"Feast is skipped: {missing}", markup=False)
    if quick:
        lines = list(at_size(python, 20_000, 20_000, 1))
    else:
        lines = list(at_size(python, SIZE, SIZE, 3))
        for labels in SMALLER if lines[-1].note else ():
            lines += at_size(python, labels, SIZE, 3)
    table = Table("what", "labels", "CPU s", "wall s", "peak GiB", "rows out", "CPU / ours", "note")
    for line in lines:
        first = next(one for one in lines if one.labels == line.labels)
        ended = "" if line.rows_out is None else f"{line.rows_out:,}"
        figures = (f"{line.cpu:.2f}", f"{line.wall:.2f}", f"{line.peak_gib:.2f}", ended, f"{line.cpu / first.cpu:.1f}x")
        table.add_row(line.what, f"{line.labels:,}", *figures, line.note)
    console.print(table)
    if json_file is not None:
        json_file.write_text(json.dumps([asdict(line) for line in lines], indent=2))


if __name__ == "__main__":
    typer.run(main)
