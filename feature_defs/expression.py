"""Row expressions as data: a canonical form of our own, and what an expression may look at.

Polars' own serialisation changes between versions, so a hash must not rest on it. Its tree is read here, and only
here, into a form whose words are ours; when Polars renames something, this file follows and no hash changes.
"""

import io
import json
from collections.abc import Mapping
from typing import Any

import polars as pl
from polars.exceptions import PolarsError

Canonical = list[Any]


def canonical(expression: pl.Expr) -> Canonical:
    """The expression as nested lists of plain values, `[operation, ...]`. Names given with `alias` do not count.

    >>> canonical(pl.col("tx_time").dt.weekday() >= 6)
    ['gteq', ['temporalexpr.weekday', ['column', 'tx_time']], ['literal', 'int', 6]]

    Raises:
        ValueError: it holds Python code or looks at other rows, which no canonical form can promise to repeat.
    """
    return _node(json.loads(expression.meta.serialize(format="json")))


def columns(expression: pl.Expr) -> set[str]:
    """Names of the columns an expression reads."""
    return _columns(canonical(expression))


def check(expression: pl.Expr, schema: Mapping[str, pl.DataType], what: str, *, flag: bool = False) -> None:
    """Refuse an expression that `what` (for the message) cannot use: it must make one number, or `flag`, from one row.

    Raises:
        ValueError: it says why, and what to write instead.
    """
    try:
        read = columns(expression)
    except ValueError as error:
        raise ValueError(f"{what}: {error}") from error
    if unknown := sorted(read - set(schema)):
        raise ValueError(f"{what}: no column {', '.join(unknown)}; there is: {', '.join(sorted(schema))}")
    if not expression.meta.is_row_separable():
        raise ValueError(f"{what}: {expression} looks at other rows; use a Window for what happened before")
    try:
        # Polars resolves some types only when it runs, so the expression is tried on one row without values.
        kind = (
            pl.DataFrame({name: [None] for name in schema}, schema=dict(schema)).select(made=expression)["made"].dtype
        )
    except PolarsError as error:
        raise ValueError(f"{what}: {expression} does not work on these columns: {error}") from error
    if flag and kind != pl.Boolean:
        raise ValueError(f"{what}: {expression} is {kind}; write a comparison, which is true or false")
    if not (kind.is_numeric() or kind in (pl.Boolean, pl.Null)):
        raise ValueError(f"{what}: {expression} is {kind}; make a number of it, with .cast(pl.Float64) or a comparison")


def _node(tree: Any) -> Canonical:
    kind: str
    body: Any
    kind, body = next(iter(tree.items())) if isinstance(tree, dict) else (tree, None)
    match kind:
        case "Column":
            return ["column", body]
        case "Alias":
            return _node(body[0])
        case "Literal":
            return _literal(tree)
        case "BinaryExpr":
            return [body["op"].lower(), _node(body["left"]), _node(body["right"])]
        case "Ternary":
            return ["when", _node(body["predicate"]), _node(body["truthy"]), _node(body["falsy"])]
        case "Cast":
            return ["cast", _node(body["expr"]), body["dtype"], body["options"].lower()]
        case "Function":
            name, options = _function(body["function"])
            return [name, *(_node(one) for one in body["input"]), *([options] if options else [])]
        case "AnonymousFunction":
            raise ValueError("it calls Python code, which has no canonical form; write it with Polars expressions")
        case "Selector":
            raise ValueError("it selects columns by pattern; name one column with pl.col")
        case _:
            raise ValueError(f"it uses {str(kind).lower()}, which looks at other rows; use a Window for that")


def _literal(tree: Any) -> Canonical:
    body = tree["Literal"]
    if "Dyn" in body:
        kind, value = next(iter(body["Dyn"].items()))
        return ["literal", kind.lower(), value]
    # Lists come as Arrow bytes, so a literal is asked for its value instead of its encoding.
    values = pl.select(pl.Expr.deserialize(io.StringIO(json.dumps(tree)), format="json")).to_series()
    return ["literal", str(values.dtype).lower(), *(_value(value) for value in values.to_list())]


def _value(value: object) -> object:
    if isinstance(value, list):
        return [_value(one) for one in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _function(tree: Any) -> tuple[str, dict[str, Any]]:
    """Name of a function, such as `stringexpr.contains`, and its options: Polars writes names with a capital."""
    names = []
    while isinstance(tree, dict) and len(tree) == 1 and next(iter(tree))[0].isupper():
        name, tree = next(iter(tree.items()))
        names.append(name.lower())
    if isinstance(tree, str) and (not names or tree[:1].isupper()):
        names.append(tree.lower())
        tree = {}
    return ".".join(names), tree if isinstance(tree, dict) else {"value": tree}


def _columns(form: Any) -> set[str]:
    if isinstance(form, list):
        if form and form[0] == "column":
            return {form[1]}
        return set().union(*(_columns(part) for part in form if isinstance(part, list)))
    return set()
