"""Files of events and labels, as batches of bounded size: Parquet, CSV with a header, JSON lines.

What the columns mean is in `sources`; a line that cannot be split is passed on as such, for quarantine.
"""

import csv
import hashlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from ct_assets.lake import sources
from ct_assets.lake.contracts import UNREADABLE, StreamName
from ct_assets.lake.errors import ContractBroken
from ct_assets.lake.sources import BATCH_ROWS, MALFORMED, Batch
from feature_defs.columns import Text
from feature_defs.task import Task


def read(task: Task, path: Path, stream: StreamName = "events") -> Iterator[Batch]:
    """The rows of a file in order, only the columns that `stream` needs, at most `BATCH_ROWS` at a time.

    Raises:
        ContractBroken: no such file, not a known format, empty, or not readable (a truncated Parquet file, say).
    """
    readers = {".parquet": _parquet, ".csv": _csv, ".jsonl": _jsonl, ".ndjson": _jsonl}
    if path.suffix not in readers:
        raise ContractBroken(path.name, f'no reader for "{path.suffix}" files; deliver {", ".join(readers)}')
    if not path.is_file():
        raise ContractBroken(path.name, f"there is no such file in {path.parent}")
    if path.stat().st_size == 0:
        raise ContractBroken(path.name, "the file is empty; deliver it again once its producer has finished")
    first = 0
    for batch in readers[path.suffix](task, path, stream):
        yield Batch(batch.frame, first, batch.text, header=batch.header)
        first += len(batch.frame)
    if first == 0:
        raise ContractBroken(path.name, "the file has no rows; deliver it again once its producer has finished")


def source(path: Path) -> str:
    """A name for the content of a file: the same file again is the same source, a changed one is a new source."""
    with path.open("rb") as file:
        return f"file:{path.name}:{hashlib.file_digest(file, 'sha256').hexdigest()[:16]}"


def _parquet(task: Task, path: Path, stream: StreamName) -> Iterator[Batch]:
    try:
        file = pl.scan_parquet(path)
        names = list(file.collect_schema())
        columns = sources.wanted(task, stream, names)
        # Without any column of the contract one is kept, so that the check sees rows and names what is missing.
        selected = file.select(columns or names[:1])
        for frame in selected.collect_batches(chunk_size=BATCH_ROWS, maintain_order=True):
            for start in range(0, len(frame), BATCH_ROWS):
                yield Batch(frame[start : start + BATCH_ROWS], header=tuple(names))
    except pl.exceptions.PolarsError as error:
        raise ContractBroken(
            path.name,
            f"it cannot be read as Parquet ({str(error).splitlines()[0]}); if it was cut short in a copy, copy and "
            "deliver it again: rows that were taken already are not doubled",
        ) from error


def _csv(task: Task, path: Path, stream: StreamName) -> Iterator[Batch]:
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        lines = csv.reader(file)
        header = _next_record(lines)
        if not isinstance(header, list):
            raise ContractBroken(path.name, "its first line is not a CSV header; name the columns there")
        if repeated := sorted({name for name in header if header.count(name) > 1}):
            raise ContractBroken(path.name, f"columns {repeated} are named twice in the header")
        positions = [header.index(name) for name in sources.wanted(task, stream, header) or header[:1]]
        while records := list(islice(_records(lines), BATCH_ROWS)):
            split = [record if isinstance(record, list) and _sound(record, header) else None for record in records]
            frame = pl.DataFrame(
                {header[at]: [record[at] or None if record else None for record in split] for at in positions},
                schema={header[at]: pl.String for at in positions},
            )
            raw = [_line(record) if good is None else None for record, good in zip(records, split, strict=True)]
            yield Batch(frame.with_columns(pl.Series(MALFORMED, raw, pl.String)), text=True, header=tuple(header))


def _records(lines: Any) -> Iterator[list[str] | str]:
    while (record := _next_record(lines)) is not None:
        if record:
            yield record


def _next_record(lines: Any) -> list[str] | str | None:
    """The next record, what is wrong with it, or None at the end; blank lines are empty records."""
    try:
        record: list[str] = next(lines)
    except StopIteration:
        return None
    except csv.Error as error:
        return f"line {lines.line_num}: {error}"
    return record


def _sound(record: list[str], header: list[str]) -> bool:
    """As many fields as the header, and no bytes that were not UTF-8: those were replaced by a mark when read."""
    return len(record) == len(header) and not any("\ufffd" in field for field in record)


def _line(record: list[str] | str) -> str:
    return record if isinstance(record, str) else ",".join(record)


def _jsonl(task: Task, path: Path, stream: StreamName) -> Iterator[Batch]:
    with path.open("rb") as file:
        filled = (line for line in file if line.strip())
        named: dict[str, None] = {}
        while lines := list(islice(filled, BATCH_ROWS)):
            records = [_decoded(line) for line in lines]
            # An absent key is a null of its row; only a column that no row has had so far is a missing column.
            named |= dict.fromkeys(name for record in records if record for name in record)
            data = {name: _field(task, name, records) for name in sources.wanted(task, stream, list(named))}
            raw = [
                line.decode("utf-8", "backslashreplace").rstrip("\r\n") if record is None else None
                for line, record in zip(lines, records, strict=True)
            ]
            texts = [pl.Series(name, values, pl.String) for name, (values, _) in data.items()]
            flags = [pl.Series(name + UNREADABLE, wrong) for name, (_, wrong) in data.items() if any(wrong)]
            frame = pl.DataFrame([pl.Series(MALFORMED, raw, pl.String), *texts, *flags])
            yield Batch(frame, text=True, header=tuple(named))


def _decoded(line: bytes) -> dict[str, Any] | None:
    try:
        record = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def _field(task: Task, name: str, records: list[dict[str, Any] | None]) -> tuple[list[str | None], list[bool]]:
    """Values as text, and which of them are of a kind that no text of theirs may be taken for."""
    values = [record.get(name) if record else None for record in records]
    stream, label = task.events, task.label
    column = stream.key_type if name in ("event_id", stream.key) else stream.columns.get(name)
    times = {"event_time", "available_at", stream.time, label.time_column, "kind"}
    if isinstance(column, Text) or name in times:
        return [value if isinstance(value, str) else None for value in values], [
            value is not None and not isinstance(value, str) for value in values
        ]
    # As JSON, a number keeps its digits, and text in place of a number keeps the quotes that make it unreadable.
    texts = [None if value is None else msgspec.json.encode(value).decode() for value in values]
    return texts, [False] * len(texts)
