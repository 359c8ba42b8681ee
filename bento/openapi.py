"""The OpenAPI document of a service, from the very types that read and write its bodies."""

from typing import Any

import msgspec

from bento.refusal import Problem
from bento.schemas import Schemas
from feature_defs.columns import Column, Flag, Int32, Int64, Text

REFUSALS = {
    "400": "The body is not JSON.",
    "401": "No known token, where tokens are set.",
    "403": "The token is for other paths.",
    "405": "The path takes another method.",
    "408": "The body came too slowly.",
    "413": "The body is too long.",
    "415": "The body is not declared as JSON.",
    "422": "The body is not what the schema says; nothing has changed.",
    "429": "Too many bodies are arriving.",
    "503": "No champion or no store; nothing has changed.",
}

# BentoML's own page, without the tag manager that it loads from elsewhere.
PAGE = b"""<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>Prediction service</title>
<link rel="stylesheet" href="./static_content/swagger-ui.css"></head>
<body><div id="swagger-ui"></div>
<script src="./static_content/swagger-ui-bundle.js"></script>
<script src="./static_content/swagger-ui-standalone-preset.js"></script>
<script src="./static_content/swagger-initializer.js"></script></body>
</html>
"""


def document(schemas: Schemas) -> dict[str, Any]:
    """OpenAPI 3.1 for the task of `schemas`."""
    task = schemas.task
    types = [
        schemas.predict_request,
        schemas.event,
        schemas.labels_request,
        schemas.predictions,
        schemas.prediction,
        schemas.receipts,
        Problem,
    ]
    refs, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    predict_request, event, labels_request, predictions, prediction, receipts, problem = refs
    row = example(schemas)
    label = {task.events.key: row[task.events.key], "label": 0, "known_at": "2018-04-08T00:00:31Z", "kind": "truth"}
    return {
        "openapi": "3.1.0",
        "info": {"title": task.name, "description": task.title, "version": task.feature_hash},
        "servers": [{"url": "."}],
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
        "paths": {
            "/predict": {
                "post": _operation(
                    "predict",
                    "Score events, apply them to the features and journal them. A known event gets its first answer.",
                    {"anyOf": [predict_request, event]},
                    {"events": [row]},
                    {"anyOf": [predictions, prediction]},
                    problem,
                )
            },
            "/labels": {
                "post": _operation(
                    "labels",
                    "Say how events turned out. Later statements correct earlier ones.",
                    labels_request,
                    {"labels": [label]},
                    receipts,
                    problem,
                )
            },
            "/model": {"get": _look("model", "Who answers, since when, and what could not be loaded.")},
            "/readyz": {"get": _look("ready", "Whether events can be scored now.") | {"security": []}},
        },
    }


def _operation(
    name: str, text: str, request: dict[str, Any], example: dict[str, Any], response: dict[str, Any], problem: Any
) -> dict[str, Any]:
    refusals = {
        status: {"description": meaning, "content": {"application/json": {"schema": problem}}}
        for status, meaning in REFUSALS.items()
    }
    return {
        "operationId": name,
        "description": text,
        "requestBody": {"required": True, "content": {"application/json": {"schema": request, "example": example}}},
        "responses": {
            "200": {"description": "Answers in order.", "content": {"application/json": {"schema": response}}},
            **refusals,
        },
    }


def _look(name: str, text: str) -> dict[str, Any]:
    content = {"application/json": {"schema": {"type": "object"}}}
    return {
        "operationId": name,
        "description": text,
        "responses": {
            "200": {"description": "As asked.", "content": content},
            **{status: {"description": REFUSALS[status], "content": content} for status in ("401", "403", "503")},
        },
    }


def example(schemas: Schemas) -> dict[str, Any]:
    """One event that the task takes, as JSON-ready data."""
    stream = schemas.task.events
    columns = {stream.key: stream.key_type, **stream.columns}
    row = {name: _value(column) for name, column in columns.items()}
    return {stream.key: row.pop(stream.key), stream.time: "2018-04-01T00:00:31Z", **row}


def _value(column: Column) -> object:
    if isinstance(column, Flag):
        return True
    if isinstance(column, Text):
        return "a"
    low = 1.0 if column.min is None else max(1.0, column.min)
    value = low if column.max is None else min(low, column.max)
    return int(value) if isinstance(column, Int32 | Int64) else value
