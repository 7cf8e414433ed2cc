"""lmft's exceptions to HTTP, in OpenAI's error shape. The only place that knows both."""

from __future__ import annotations

import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from lmft.errors import LmftError
from serving.engine.client import UpstreamRefusal

log = logging.getLogger("lmft.gateway")

RETRY_AFTER_SECONDS = 5
# code -> (status, OpenAI's type, OpenAI's code)
_BY_CODE = {
    "not_found": (404, "invalid_request_error", "model_not_found"),
    "context_length_exceeded": (400, "invalid_request_error", "context_length_exceeded"),
    "invalid_request": (422, "invalid_request_error", "invalid_request"),
    "engine_starting": (503, "server_error", "engine_starting"),
    "engine_error": (503, "server_error", "engine_error"),
    "probe_failed": (503, "server_error", "probe_failed"),
    "adapter_corrupt": (503, "server_error", "adapter_corrupt"),
}


class RequestError(LmftError):
    """A request that cannot be answered; `code` is one of the table above."""

    def __init__(self, message: str, hint: str = "", code: str = "invalid_request") -> None:
        super().__init__(message, hint)
        self.code = code


def error_body(
    message: str, kind: str, code: str | None, param: str | None = None
) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def describe(error: Exception) -> tuple[int, dict[str, Any]]:
    """Status and body of any error that a route or a stream can end with."""
    if isinstance(error, LmftError):
        status, kind, code = _BY_CODE.get(error.code, (500, "server_error", error.code))
        return status, error_body(str(error), kind, code)
    if isinstance(error, UpstreamRefusal):
        return 400, error_body(error.message, "invalid_request_error", "invalid_request")
    log.error("unexpected error", exc_info=error)
    return 500, error_body(
        "Something went wrong inside lmft; its log says more.", "server_error", None
    )


def error_response(error: Exception) -> JSONResponse:
    status, body = describe(error)
    headers = (
        {"retry-after": str(RETRY_AFTER_SECONDS)}
        if body["error"]["code"] == "engine_starting"
        else {}
    )
    return JSONResponse(body, status, headers)


def install(app: FastAPI) -> None:
    @app.exception_handler(LmftError)
    @app.exception_handler(UpstreamRefusal)
    @app.exception_handler(Exception)
    async def _ours(_: Request, error: Exception) -> JSONResponse:
        return error_response(error)

    @app.exception_handler(RequestValidationError)
    async def _invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        faults = error.errors()
        message = "; ".join(_fault(fault) for fault in faults[:5])
        param = _place(faults[0]) or None
        return JSONResponse(
            error_body(message, "invalid_request_error", "invalid_request", param), 422
        )

    @app.exception_handler(HTTPException)
    async def _http(_: Request, error: HTTPException) -> JSONResponse:
        return JSONResponse(
            error_body(str(error.detail), "invalid_request_error", None),
            error.status_code,
            error.headers,
        )


def _place(fault: Any) -> str:
    """`messages.0.content`: without pydantic's names for the members of a union."""
    parts = [str(part) for part in fault["loc"][1:]]
    return ".".join(part for part in parts if part != "str" and "[" not in part)


def close(app: FastAPI, prefix: str) -> None:
    """Answer what no route took under `prefix`, before pages that are mounted later can."""

    @app.api_route(
        f"{prefix}/{{path:path}}",
        methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
        include_in_schema=False,
    )
    async def _unknown(path: str, request: Request) -> JSONResponse:
        message = f"There is no {request.method} {prefix}/{path}; docs/api.md lists what there is."
        return JSONResponse(error_body(message, "invalid_request_error", "unknown_route"), 404)


def _fault(fault: Any) -> str:
    where = _place(fault) or "body"
    if fault["type"] == "extra_forbidden":
        return f"`{where}` is not supported"
    return f"`{where}`: {fault['msg']}"
