"""The way in: files in the inbox and the service's journal, each taken in once. What a row must satisfy is `lake`'s.

A file of events that also carries labels passes through both inboxes: `events/`, then `labels/`, then `labels/done/`.
A file that breaks its contract as a whole is set aside in `refused/` with its reason beside it, and nothing else waits.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import polars as pl

from ct_assets.lake import drain, files, ingest
from ct_assets.lake.contracts import StreamName
from ct_assets.lake.delivery import Delivery
from ct_assets.lake.errors import ContractBroken
from ct_assets.lake.lake import Lake
from ct_assets.settings import Home
from feature_defs.engine import journal
from feature_defs.task import Task


@dataclass(frozen=True)
class Intake:
    """What came in: the account of the rows, and the files that were refused whole with the reason for each."""

    account: Delivery
    refused: dict[str, str]


@dataclass(frozen=True)
class Waiting:
    """What has not been taken in yet. Falsy when there is nothing."""

    files: tuple[str, ...]
    journal: dict[journal.Kind, int]

    def __bool__(self) -> bool:
        return bool(self.files) or any(self.journal.values())

    @property
    def fingerprint(self) -> str:
        """Names exactly this state of the inbox and the journal."""
        return hashlib.sha256(repr((self.files, sorted(self.journal.items()))).encode()).hexdigest()[:16]


def waiting(home: Home, task: Task) -> Waiting:
    """Files in the inboxes and, per kind of record, the newest sequence number in the journal (0 for none)."""
    offered = [path for stream in ("events", "labels") for path in _offered(home.inbox(task.name) / stream)]
    store = home.store(task.name)
    kinds: tuple[journal.Kind, ...] = get_args(journal.Kind)
    records = {kind: journal.last(store, kind) if store.exists() else 0 for kind in kinds}
    return Waiting(tuple(f"{path.parent.name}/{path.name}" for path in offered), records)


def take_in(home: Home, lake: Lake, stream: StreamName, *, run_id: str) -> Intake:
    """Bring every waiting file and journal record of `stream` into the lake."""
    account, refused = Delivery(), {}
    for path in _offered(home.inbox(lake.task.name) / stream):
        try:
            account += ingest.deliver(
                lake, stream, files.read(lake.task, path, stream), files.source(path), run_id=run_id
            )
        except ContractBroken as broken:
            refused[path.name] = str(broken)
            _set_aside(path, str(broken))
        else:
            _pass_on(home, lake.task, path, stream)
    account += drain_journal(home, lake, stream, run_id=run_id)
    return Intake(account, refused)


def drain_journal(home: Home, lake: Lake, kind: journal.Kind, *, run_id: str) -> Delivery:
    """Bring the journal's records of `kind` into their table; nothing without a store."""
    store = home.store(lake.task.name)
    return drain.drain(lake, store, kind, run_id=run_id) if store.exists() else Delivery()


def _offered(folder: Path) -> Iterator[Path]:
    """Files directly in `folder`, by name. A name that begins with a dot is still being written."""
    if folder.is_dir():
        yield from sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))


def _pass_on(home: Home, task: Task, path: Path, stream: StreamName) -> None:
    labelled = stream == "events" and task.label.column in _columns(path)
    folder = home.inbox(task.name) / "labels" if labelled else path.parent / "done"
    folder.mkdir(parents=True, exist_ok=True)
    path.rename(folder / path.name)


def _columns(path: Path) -> list[str]:
    scans: dict[str, Callable[[Path], pl.LazyFrame]] = {".parquet": pl.scan_parquet, ".csv": pl.scan_csv}
    return scans.get(path.suffix, pl.scan_ndjson)(path).collect_schema().names()


def _set_aside(path: Path, reason: str) -> None:
    folder = path.parent / "refused"
    folder.mkdir(exist_ok=True)
    (folder / f"{path.name}.reason.txt").write_text(reason + "\n")
    path.rename(folder / path.name)
