"""The OpenAPI document: what each route answers, in good and in bad times, and who may ask."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from serving.gateway.schemas.jobs import FineTuningEvent, JobNews
from serving.gateway.schemas.objects import ChatCompletionChunk, Error, PlayEvent

_STREAMED = (ChatCompletionChunk, PlayEvent, FineTuningEvent, JobNews)
_REASONS = {
    400: "A field has a wrong value, or prompt and answer do not fit the context.",
    401: "No key, or a wrong or revoked one.",
    403: "The key may not do this, a quota is used up, or another web page asks.",
    404: "There is no such object, or it is another project's; or no such project.",
    408: "Next to nothing of the body has come for a minute.",
    413: "The body is too large.",
    415: "The body is encoded, or the file is of a kind that is not taken in.",
    422: "A field that is outside the list of those that are understood.",
    429: "Too many requests or tokens, or uploads at once; Retry-After says when to come back.",
    503: "The engine cannot answer now; Retry-After says when to come back, where that is known.",
}
# What the guard may answer before any route is reached.
_EVERYWHERE = (401, 403, 404, 413, 503)
_OPEN_PATHS = frozenset({"/healthz", "/readyz"})
_REFERENCE = "#/components/schemas/{model}"
RETRY_AFTER = {
    "Retry-After": {
        "description": "Seconds after which to ask again.",
        "schema": {"type": "integer", "minimum": 1},
    }
}


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that may refuse with these."""
    return {status: _refusal(status) for status in statuses}


def _refusal(status: int) -> dict[str, Any]:
    refusal: dict[str, Any] = {"model": Error, "description": _REASONS[status]}
    if status in (429, 503):
        refusal["headers"] = RETRY_AFTER
    return refusal


def streamed(chunk: type[BaseModel]) -> dict[int | str, dict[str, Any]]:
    """The 200 of a route that answers as JSON, and with `stream` as events."""
    described = events(chunk)
    described[200]["description"] = f"The answer. With `stream`: {_events_of(chunk)}"
    return described


def events(chunk: type[BaseModel]) -> dict[int | str, dict[str, Any]]:
    """The 200 of a route that answers as server-sent events only."""
    kinds = [{"$ref": _REFERENCE.format(model=kind.__name__)} for kind in (chunk, Error)]
    data = {
        "type": "string",
        "contentMediaType": "application/json",
        "contentSchema": {"anyOf": kinds},
    }
    event = {
        "type": "object",
        "required": ["data"],
        "properties": {"data": {"anyOf": [{"const": "[DONE]"}, data]}},
    }
    content = {"text/event-stream": {"itemSchema": event}}
    return {200: {"description": _events_of(chunk), "content": content}}


def _events_of(chunk: type[BaseModel]) -> str:
    return f"server-sent events; the data of each is one {chunk.__name__}, of the last `[DONE]`."


def describe(app: FastAPI) -> None:
    """Let the application answer with a document that says all of this."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _completed(
                get_openapi(title=app.title, version=app.version, routes=app.routes)
            )
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _completed(document: dict[str, Any]) -> dict[str, Any]:
    components = document.setdefault("components", {})
    # Only in streams, where FastAPI does not look for them.
    schemas = models_json_schema(
        [(chunk, "serialization") for chunk in _STREAMED],
        ref_template=_REFERENCE,
    )[1]["$defs"]
    components["schemas"] = schemas | components["schemas"]
    components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    # FastAPI's own shape of a refused body, which no route here answers with.
    for unused in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(unused, None)
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    for path, methods in document["paths"].items():
        for operation in methods.values():
            if "HTTPValidationError" in str(operation["responses"].get("422")):
                del operation["responses"]["422"]
            if path in _OPEN_PATHS:
                continue
            operation["security"] = [{"key": []}]
            for status in _EVERYWHERE:
                plain = {key: value for key, value in _refusal(status).items() if key != "model"}
                operation["responses"].setdefault(str(status), plain | {"content": error})
    return document
