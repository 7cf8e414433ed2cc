"""Builds the application: routes, errors, guard, and the engine's life within it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable

from fastapi import FastAPI

from lmft import __version__
from serving.gateway import errors
from serving.gateway.guard import Guard
from serving.gateway.routes import chat, completions, health, models, play
from serving.gateway.state import Gateway
from serving.pool.pool import Pool


def build_app(
    pool: Pool,
    *,
    api_key: str | None,
    host: str,
    on_engine_end: Callable[[], None],
) -> FastAPI:
    """The gateway.

    Args:
        host: the address it will be bound to; decides which Host headers are believed.
        on_engine_end: called when the engine has given up for good.
    """

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        running = asyncio.create_task(pool.supervisor.run())
        running.add_done_callback(lambda _: on_engine_end())
        try:
            yield
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running

    app = FastAPI(
        title="lmft",
        version=__version__,
        lifespan=lifespan,
        openapi_url="/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    app.state.gateway = Gateway(pool, started_at=int(time.time()))
    errors.install(app)
    for routes in (health, models, completions, chat, play):
        app.include_router(routes.router)
    errors.close(app, "/v1")
    app.add_middleware(Guard, api_key=api_key, host=host)
    return app
