"""The routes of the local engine: those of vLLM that the gateway asks, and no other."""

from __future__ import annotations

import contextlib
import hmac
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.engine.local.completions import complete
from serving.engine.local.engine import Engine, Refusal
from serving.engine.local.model import BadAdapterError
from serving.engine.local.question import QuestionError

_Answer = Callable[[Engine, Request], Awaitable[Response]]


def make_app(engine: Engine, key: str) -> Starlette:
    """Every route wants the key; `engine.runner` starts and stops with the app."""

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        engine.runner.start()
        yield
        await engine.runner.stop()

    def route(path: str, method: str, answer: _Answer) -> Route:
        async def endpoint(request: Request) -> Response:
            return await answer(engine, request)

        return Route(path, endpoint, methods=[method])

    app = Starlette(
        routes=[
            route("/health", "GET", _health),
            route("/metrics", "GET", _metrics),
            route("/v1/completions", "POST", complete),
            route("/v1/load_lora_adapter", "POST", _load),
            route("/v1/unload_lora_adapter", "POST", _unload),
        ],
        lifespan=lifespan,
        exception_handlers={
            404: lambda *_: _error(404, "lmft's own engine has no such route."),
            405: lambda *_: _error(405, "This route takes another method."),
            Refusal: lambda _, refusal: _error(refusal.status, str(refusal)),
            QuestionError: lambda _, error: _error(400, str(error)),
            BadAdapterError: lambda _, error: _error(400, str(error)),
        },
    )
    app.add_middleware(_Guard, key=key)
    return app


class _Guard:
    """Lets nobody in without the key."""

    def __init__(self, app: ASGIApp, key: str) -> None:
        self._app = app
        self._wanted = f"Bearer {key}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        given = dict(scope["headers"]).get(b"authorization", b"")
        if hmac.compare_digest(given, self._wanted):
            await self._app(scope, receive, send)
        else:
            await _error(401, "Unauthorized.")(scope, receive, send)


def _error(status: int, message: str) -> JSONResponse:
    kind = {404: "NotFoundError", 500: "InternalServerError"}.get(status, "BadRequestError")
    error = {"message": message, "type": kind, "param": None, "code": status}
    return JSONResponse({"error": error}, status)


async def _health(engine: Engine, _: Request) -> Response:
    return Response(status_code=200 if engine.runner.alive else 503)


async def _metrics(engine: Engine, _: Request) -> Response:
    """As vLLM writes them: whoever reads an engine's figures need not know which one it is."""
    lines = (
        f"# TYPE vllm:{name} counter\nvllm:{name}_total {count}\n"
        for name, count in engine.runner.counts.items()
    )
    return PlainTextResponse("".join(lines))


async def _load(engine: Engine, request: Request) -> Response:
    body = await _fields(request, "lora_name", "lora_path")
    name = body["lora_name"]
    if name in engine.names:
        raise Refusal(400, f"The lora adapter {name!r} has already been loaded.")
    adapter = await engine.runner.load(Path(body["lora_path"]))
    if engine.names.setdefault(name, adapter) != adapter:
        # Two asked for one name at the same time.
        engine.runner.retire(adapter)
    return PlainTextResponse(f"Success: LoRA adapter {name!r} added.")


async def _unload(engine: Engine, request: Request) -> Response:
    name = (await _fields(request, "lora_name"))["lora_name"]
    if name == engine.base_name or name not in engine.names:
        raise Refusal(404, f"The lora adapter {name!r} cannot be found.")
    engine.runner.retire(engine.names.pop(name))
    return PlainTextResponse(f"Success: LoRA adapter {name!r} removed.")


async def _fields(request: Request, *names: str) -> dict[str, str]:
    with contextlib.suppress(ValueError):
        body = json.loads(await request.body())
        if isinstance(body, dict) and all(isinstance(body.get(name), str) for name in names):
            return body
    raise Refusal(400, f"The body must have {' and '.join(names)}.")
