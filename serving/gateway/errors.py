"""lmft's exceptions to HTTP, in OpenAI's error shape. The only place that knows both."""

from __future__ import annotations

import logging
import math
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from lmft.errors import LmftError, MachineError, NotFoundError, UserError
from lmft.jobs.refused import JobRequestError
from lmft.public import without_machine
from serving.engine.refusals import UpstreamRefusal

log = logging.getLogger("lmft.gateway")

RETRY_AFTER_SECONDS = 5
_INVALID = "invalid_request_error"
# code -> (status, OpenAI's type, OpenAI's code)
_BY_CODE = {
    "not_found": (404, _INVALID, "model_not_found"),
    "fine_tune_not_found": (404, _INVALID, "fine_tune_not_found"),
    # Never 409: OpenAI's SDK would ask again, and again in vain.
    "invalid_state": (400, _INVALID, "invalid_state"),
    "idempotency_key_reused": (400, _INVALID, "idempotency_key_reused"),
    "invalid_recipe": (400, _INVALID, "invalid_recipe"),
    "context_length_exceeded": (400, _INVALID, "context_length_exceeded"),
    "invalid_value": (400, _INVALID, "invalid_value"),
    "unsupported_parameter": (400, _INVALID, "unsupported_parameter"),
    "unsupported_route": (404, _INVALID, "unsupported_route"),
    "missing_required_parameter": (400, _INVALID, "missing_required_parameter"),
    "file_not_found": (404, _INVALID, "file_not_found"),
    # Not 503, as of a database: the SDK would ask again, and again in vain.
    "file_content_lost": (404, _INVALID, "file_content_lost"),
    "upload_not_found": (404, _INVALID, "upload_not_found"),
    # The SDK sends it again by itself, as after any lost connection.
    "request_timeout": (408, _INVALID, "request_timeout"),
    "file_too_large": (413, _INVALID, "file_too_large"),
    "unsupported_encoding": (415, _INVALID, "unsupported_encoding"),
    "unsupported_file": (415, _INVALID, "unsupported_file"),
    "insufficient_scope": (403, _INVALID, "insufficient_scope"),
    # Not 429, as OpenAI has it: its SDK would ask again, and again in vain.
    "quota_exceeded": (403, "insufficient_quota", "quota_exceeded"),
    "rate_limit_exceeded": (429, "rate_limit_error", "rate_limit_exceeded"),
    "server_busy": (429, "rate_limit_error", "server_busy"),
    # Nobody receives it: the client has gone.
    "client_gone": (499, _INVALID, "client_gone"),
    "engine_starting": (503, "server_error", "engine_starting"),
    "shutting_down": (503, "server_error", "shutting_down"),
    "engine_error": (503, "server_error", "engine_error"),
    "probe_failed": (503, "server_error", "probe_failed"),
    "adapter_corrupt": (503, "server_error", "adapter_corrupt"),
}
KNOWN = frozenset(_BY_CODE.values())
# What is outside the allowlist; every other fault of a body is a wrong value.
_OUTSIDE = {"extra_forbidden": "unknown_parameter", "unsupported_content": "unsupported_content"}
_FAULT_CODES = _OUTSIDE | {
    "missing": "missing_required_parameter",
    "json_invalid": "invalid_json",
    "unsupported_parameter": "unsupported_parameter",
}
# What FastAPI refuses before a route is reached: a body that it cannot parse, no such route.
_HTTP_CODES = {400: "invalid_json", 404: "unknown_route"}


class RequestError(LmftError):
    """A request that cannot be answered; `code` is one of the table above.

    Attributes:
        param: the field that is at fault, if it is one.
    """

    def __init__(
        self, message: str, hint: str = "", code: str = "invalid_value", param: str | None = None
    ) -> None:
        super().__init__(message, hint)
        self.code = code
        self.param = param


def error_body(
    message: str, kind: str, code: str | None, param: str | None = None
) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def public(message: str) -> str:
    """The message without what it says of this machine, in one line."""
    first = next(iter(message.strip().splitlines()), "")
    return without_machine(first)[:500]


def describe(error: Exception) -> tuple[int, dict[str, Any]]:
    """Status and body of any error that a route or a stream can end with."""
    if isinstance(error, LmftError):
        status, kind, code = _BY_CODE.get(error.code) or _by_class(error)
        param = error.param if isinstance(error, RequestError | JobRequestError) else None
        return status, error_body(public(str(error)), kind, code, param)
    if isinstance(error, UpstreamRefusal):
        return _describe_refusal(error)
    log.error("unexpected error", exc_info=error)
    return 500, error_body(
        "Something went wrong inside lmft; its log says more.", "server_error", None
    )


def _by_class(error: LmftError) -> tuple[int, str, str]:
    """A person's error is the caller's; the machine's may be over at the next try."""
    if isinstance(error, UserError):
        return 404 if isinstance(error, NotFoundError) else 400, _INVALID, error.code
    return 503 if isinstance(error, MachineError) else 500, "server_error", error.code


def _describe_refusal(refusal: UpstreamRefusal) -> tuple[int, dict[str, Any]]:
    """What vLLM refuses although the gateway let it pass: 400 is about the values that were
    given, anything else (no such adapter, wrong key) about what the gateway itself did."""
    log.warning("the engine refused a request (%s): %s", refusal.status, refusal.message)
    if refusal.status in (400, 422):
        message = f"The engine refuses this request: {public(refusal.message)}"
        return 400, error_body(message, _INVALID, "invalid_value")
    return 503, error_body(
        "The engine did not take this request. Try again.", "server_error", "engine_error"
    )


def error_response(error: Exception) -> JSONResponse:
    status, body = describe(error)
    seconds = getattr(error, "retry_after_seconds", None)
    if seconds is None and body["error"]["code"] in ("engine_starting", "shutting_down"):
        seconds = RETRY_AFTER_SECONDS
    headers = {} if seconds is None else {"retry-after": str(max(1, math.ceil(seconds)))}
    return JSONResponse(body, status, headers)


def install(app: FastAPI) -> None:
    @app.exception_handler(LmftError)
    @app.exception_handler(UpstreamRefusal)
    @app.exception_handler(Exception)
    async def _ours(_: Request, error: Exception) -> JSONResponse:
        return error_response(error)

    @app.exception_handler(RequestValidationError)
    async def _invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        # What is outside the allowlist is said first, whatever else is wrong.
        faults = sorted(error.errors(), key=lambda fault: fault["type"] not in _OUTSIDE)
        message = "; ".join(dict.fromkeys(_fault(fault) for fault in faults[:5]))
        kind = faults[0]["type"]
        code = _FAULT_CODES.get(kind, "invalid_value")
        return JSONResponse(
            error_body(message, _INVALID, code, _place(faults[0]) or None),
            422 if kind in _OUTSIDE else 400,
        )

    @app.exception_handler(HTTPException)
    async def _http(_: Request, error: HTTPException) -> JSONResponse:
        return JSONResponse(
            error_body(str(error.detail), _INVALID, _HTTP_CODES.get(error.status_code)),
            error.status_code,
            error.headers,
        )


def close(app: FastAPI, prefix: str) -> None:
    """Answer what no route took under `prefix`, before pages that are mounted later can."""

    methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]

    @app.api_route(prefix, methods=methods, include_in_schema=False)
    @app.api_route(f"{prefix}/{{path:path}}", methods=methods, include_in_schema=False)
    async def _unknown(request: Request) -> JSONResponse:
        message = (
            f"There is no {request.method} {request.url.path}; "
            f"GET {prefix}/openapi.json lists what there is."
        )
        return JSONResponse(error_body(message, _INVALID, "unknown_route"), 404)


def _place(fault: Any) -> str:
    """`messages.0.content`: without pydantic's names for the members of a union."""
    if param := fault.get("ctx", {}).get("param"):
        return str(param)
    if fault["type"] == "json_invalid":
        return ""
    parts = [str(part) for part in fault["loc"][1:]]
    if parts[:1] in (["response_format"], ["prompt"]):
        # The second is which kind of it was given.
        del parts[1:2]
    return ".".join(part for part in parts if part not in _MEMBERS and "[" not in part)


# How pydantic calls the members of our other unions.
_MEMBERS = frozenset({"str", "constrained-str", "NamedTool"})


# Fields that belong to the other route, or are called otherwise there.
_INSTEAD = {
    "messages": "; ask /v1/chat/completions",
    "max_completion_tokens": "; say `max_tokens`",
    "prompt": "; ask /v1/completions",
}


def _fault(fault: Any) -> str:
    where = _place(fault) or "body"
    if fault["type"] == "extra_forbidden":
        return f"`{where}` is not supported{_INSTEAD.get(where, '')}"
    if where == "body" and fault["type"] in ("model_attributes_type", "dict_type"):
        return "The body is no JSON object: send one, with `Content-Type: application/json`"
    return f"`{where}`: {fault['msg'].removeprefix('Value error, ')}"
