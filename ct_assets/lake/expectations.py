"""The contract of a stream as a Great Expectations suite: a verdict with severity, and Data Docs for people.

The suite is made from the rule table in `contracts`; rows are refused there, by the same rules.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from ct_assets import telemetry
from ct_assets.lake import contracts
from ct_assets.lake.contracts import UNREADABLE, Rule, StreamName
from feature_defs.task import Task

# Indices of bad rows are collected up to this many rows; beyond, a frame is judged without them.
INDEXED_ROWS = 200_000


@dataclass(frozen=True)
class ContractVerdict:
    """What the suite says of a frame.

    `failed` maps the id of each broken rule to the positions of the rows that break it (none for a frame of more than
    `INDEXED_ROWS`), `counts` to their number; `severity` is the gravest of them, "critical", "warning" or None.
    `errors` are rules that could not be evaluated at all, which is never the fault of a row. `docs` is the page to
    open, if one was asked for.
    """

    stream: str
    rows: int
    failed: Mapping[str, Sequence[int]]
    counts: Mapping[str, int]
    severity: str | None
    errors: Mapping[str, str]
    docs: Path | None

    @property
    def passed(self) -> bool:
        """Whether nothing critical was broken and every rule could be evaluated."""
        return self.severity != "critical" and not self.errors


def validate(task: Task, stream: StreamName, frame: pl.DataFrame, *, docs: Path | None = None) -> ContractVerdict:
    """Judges a frame with the columns of `stream` (of the lake, or of `sources.canonical`); `docs` is a folder.

    An empty frame fails: nothing to judge is not a pass.
    """
    telemetry.off()
    import great_expectations as gx

    table = contracts.rules(task, stream)
    columns = list(dict.fromkeys(name for rule in table for name in _columns(rule)))
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    suite = context.suites.add(gx.ExpectationSuite(name=f"{task.name} {stream}", expectations=_expectations(table)))
    asset = context.data_sources.add_pandas(task.name).add_dataframe_asset(stream)
    batch = asset.add_batch_definition_whole_dataframe("rows")
    definition = context.validation_definitions.add(
        gx.ValidationDefinition(name=f"{task.name} {stream}", data=batch, suite=suite)
    )
    complete = len(frame) <= INDEXED_ROWS
    site = "docs"
    if docs is not None:
        context.add_data_docs_site(site_name=site, site_config=_site(docs))
    result = definition.run(
        batch_parameters={"dataframe": _pandas(frame, columns)},
        result_format={"result_format": "COMPLETE" if complete else "BASIC"},
    )
    page = _built(context, site) if docs is not None else None
    return _verdict(stream, len(frame), result, page)


def _expectations(table: Sequence[Rule]) -> list[Any]:
    import great_expectations.expectations as gxe

    return [gxe.ExpectTableRowCountToBeBetween(min_value=1, meta={"rule": "rows.any"}), *map(_expectation, table)]


def _expectation(rule: Rule) -> Any:
    import great_expectations.expectations as gxe

    common: dict[str, Any] = {"meta": {"rule": rule.id}, "severity": rule.severity, "notes": rule.says}
    first = rule.columns[0]
    match rule.kind:
        case "readable":
            return gxe.ExpectColumnValuesToBeInSet(column=first + UNREADABLE, value_set=[False], **common)
        case "not_null":
            return gxe.ExpectColumnValuesToNotBeNull(column=first, **common)
        case "between":
            return gxe.ExpectColumnValuesToBeBetween(column=first, min_value=rule.lower, max_value=rule.upper, **common)
        case "one_of":
            return gxe.ExpectColumnValuesToBeInSet(column=first, value_set=list(rule.values), **common)
        case "not_before":
            return gxe.ExpectColumnPairValuesAToBeGreaterThanB(
                column_A=first,
                column_B=rule.columns[1],
                or_equal=True,
                ignore_row_if="either_value_is_missing",
                **common,
            )
        case "unique" if len(rule.columns) == 1:
            return gxe.ExpectColumnValuesToBeUnique(column=first, **common)
        case "unique":
            return gxe.ExpectCompoundColumnsToBeUnique(
                column_list=list(rule.columns), ignore_row_if="any_value_is_missing", **common
            )


def _columns(rule: Rule) -> tuple[str, ...]:
    return (rule.columns[0] + UNREADABLE,) if rule.kind == "readable" else rule.columns


def _pandas(frame: pl.DataFrame, columns: Sequence[str]) -> Any:
    """Arrow-backed, so that nulls stay nulls; labelled 0, 1, ... since the indices of bad rows are labels."""
    flags = [name for name in columns if name.endswith(UNREADABLE) and name not in frame.columns]
    # Rows of the lake have been read already.
    known = frame.with_columns(pl.lit(False).alias(name) for name in flags)
    present = [name for name in columns if name in known.columns]
    return known.select(present).to_pandas(use_pyarrow_extension_array=True).reset_index(drop=True)


def _site(docs: Path) -> dict[str, Any]:
    docs.mkdir(parents=True, exist_ok=True)
    return {
        "class_name": "SiteBuilder",
        "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
        "store_backend": {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(docs.absolute())},
    }


def _built(context: Any, site: str) -> Path:
    pages = context.build_data_docs(site_names=[site])
    return Path(str(pages[site]).removeprefix("file://"))


def _verdict(stream: str, rows: int, result: Any, page: Path | None) -> ContractVerdict:
    failed: dict[str, list[int]] = {}
    counts: dict[str, int] = {}
    errors: dict[str, str] = {}
    gravest = None
    for one in result.results:
        if one.success:
            continue
        rule = one.expectation_config.meta["rule"]
        if (raised := _raised(one.exception_info)) is not None:
            errors[rule] = raised
            continue
        details = one.result or {}
        failed[rule] = sorted(details.get("unexpected_index_list") or [])
        counts[rule] = int(details.get("unexpected_count") or 0)
        if gravest != "critical":
            gravest = str(getattr(one.expectation_config.severity, "value", one.expectation_config.severity))
    return ContractVerdict(stream, rows, failed, counts, gravest, errors, page)


def _raised(info: Mapping[str, Any] | None) -> str | None:
    """The message of an exception, which comes flat or keyed by the metric that raised it."""
    if not info:
        return None
    each = [info] if "raised_exception" in info else [one for one in info.values() if isinstance(one, Mapping)]
    return next((str(one.get("exception_message")) for one in each if one.get("raised_exception")), None)
