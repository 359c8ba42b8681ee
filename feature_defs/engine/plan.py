"""A task's features as the engine runs them: which histories to keep, which cells to read from each, and where to.

Both executors, offline and online, work from this plan. Definitions are in `feature_defs`, arithmetic in `compiled`.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from feature_defs import expression
from feature_defs.aggregation import KINDS
from feature_defs.columns import Column, Decimal, Flag, Real
from feature_defs.engine.values import Integers
from feature_defs.feature import Row, Window
from feature_defs.stream import Label
from feature_defs.task import Task

OPS = {kind: code for code, kind in enumerate(KINDS)}


@dataclass(frozen=True)
class Cell:
    """One window feature: `op` over value `column` (-1: the rows themselves) of one window, into `output`."""

    name: str
    op: int
    column: int
    start: int
    end: int
    scale: int
    real: bool
    output: int


@dataclass(frozen=True, eq=False)
class History:
    """The rows of one entity kind over one stream or label, and the cells that are read from them."""

    index: int
    key: str
    of_label: bool
    where: pl.Expr | None
    columns: dict[str, Column]
    cells: tuple[Cell, ...]

    @property
    def reach(self) -> int:
        """How far back the longest window looks, in microseconds."""
        return max(cell.start for cell in self.cells)

    @property
    def ordered(self) -> bool:
        """Whether the order of rows with equal times matters to any cell."""
        return any(cell.real or cell.op == OPS["last"] for cell in self.cells)

    @cached_property
    def table(self) -> Integers:
        """The cells as the kernels take them: (cells, 7) of op, column, start, end, scale, real, output."""
        rows = [(c.op, c.column, c.start, c.end, c.scale, int(c.real), c.output) for c in self.cells]
        return np.array(rows, dtype=np.int64).reshape(len(rows), 7)

    @property
    def reals(self) -> int:
        """One bit for each value column of floats."""
        return sum(1 << number for number, column in enumerate(self.columns.values()) if isinstance(column, Real))

    @cached_property
    def edges(self) -> Integers:
        """Per cell the numbers of its start and end among the distinct distances of all edges: (cells, 2)."""
        numbers: dict[int, int] = {}
        pairs = [[numbers.setdefault(edge, len(numbers)) for edge in (cell.start, cell.end)] for cell in self.cells]
        return np.array(pairs, dtype=np.int64).reshape(len(pairs), 2)


@dataclass(frozen=True, eq=False)
class Plan:
    """Everything both executors need to know of a task."""

    task: Task
    histories: tuple[History, ...]
    rows: tuple[tuple[int, Row], ...]
    names: tuple[str, ...]
    whole: tuple[bool, ...]

    @property
    def schema(self) -> dict[str, pl.DataType]:
        """Columns of a feature frame: counts are Int64, every other feature Float64."""
        types: list[pl.DataType] = [pl.Int64() if whole else pl.Float64() for whole in self.whole]
        return dict(zip(self.names, types, strict=True))


def plan(task: Task) -> Plan:
    """The plan of `task`: windows that share entity, source and filter share one history."""
    drafts: list[tuple[Window, dict[str, Column], list[Cell]]] = []
    rows: list[tuple[int, Row]] = []
    whole: list[bool] = []
    for feature in task.features:
        if isinstance(feature, Row):
            rows.append((len(whole), feature))
            whole.append(False)
            continue
        draft = _draft_for(feature, drafts)
        for column in feature.features:
            draft[2].append(
                _cell(
                    feature,
                    column.name,
                    column.aggregation.kind,
                    column.aggregation.column,
                    column.width_us,
                    draft[1],
                    len(whole),
                )
            )
            whole.append(column.aggregation.whole)
    histories = tuple(
        History(index, window.entity.key, isinstance(window.of, Label), window.where, columns, tuple(cells))
        for index, (window, columns, cells) in enumerate(drafts)
    )
    return Plan(task, histories, tuple(rows), task.feature_names, tuple(whole))


def _draft_for(
    window: Window, drafts: list[tuple[Window, dict[str, Column], list[Cell]]]
) -> tuple[Window, dict[str, Column], list[Cell]]:
    for draft in drafts:
        if _same_rows(draft[0], window):
            return draft
    draft = (window, {"label": Flag()} if isinstance(window.of, Label) else {}, [])
    drafts.append(draft)
    return draft


def _same_rows(one: Window, other: Window) -> bool:
    if (one.entity.key, type(one.of), one.of.name) != (other.entity.key, type(other.of), other.of.name):
        return False
    if one.where is None or other.where is None:
        return one.where is other.where
    return expression.canonical(one.where) == expression.canonical(other.where)


def _cell(
    window: Window, name: str, kind: str, column: str | None, width: int, columns: dict[str, Column], output: int
) -> Cell:
    start, end = window.delay_us + width, window.delay_us
    if kind == "count":
        return Cell(name, OPS[kind], -1, start, end, 1, False, output)
    if isinstance(window.of, Label):
        return Cell(name, OPS[kind], 0, start, end, 1, False, output)
    declared = window.of.columns[column or ""]
    columns.setdefault(column or "", declared)
    scale = declared.scale if isinstance(declared, Decimal) else 1
    # Distinct values are told apart by their words, whatever these mean.
    real = isinstance(declared, Real) and kind != "distinct"
    return Cell(name, OPS[kind], list(columns).index(column or ""), start, end, scale, real, output)
