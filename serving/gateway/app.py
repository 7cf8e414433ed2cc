"""Builds the application: routes, errors, guard, and the pool's life within it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from fastapi import FastAPI

from lmft import __version__
from serving.gateway import documents, errors
from serving.gateway.access.access import Access
from serving.gateway.access.guard import Guard
from serving.gateway.access.limits import BodyLimit
from serving.gateway.routes import (
    chat,
    completions,
    health,
    metrics,
    models,
    not_offered,
    play,
    tokenization,
)
from serving.gateway.state import Gateway
from serving.pool.device import Device
from serving.pool.pool import Pool
from serving.watch.requests import Requests
from serving.watch.watch import Watch


def build_app(
    pool: Pool,
    watch: Watch,
    access: Access,
    *,
    host: str,
    on_engine_end: Callable[[], None],
) -> FastAPI:
    """The gateway.

    Args:
        host: the address it will be bound to; decides which Host headers are believed.
        on_engine_end: called when the pool has ended; on its own it does so only for good.
    """

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        device = Device(pool)
        # Before the first engine starts: a training may need its memory.
        await device.look()
        running = asyncio.create_task(pool.run())
        running.add_done_callback(lambda _: on_engine_end())
        watching = asyncio.create_task(watch.run())
        sharing = asyncio.create_task(device.run())
        try:
            yield
        finally:
            for task in (sharing, watching, running):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    app = FastAPI(
        title="lmft",
        version=__version__,
        lifespan=lifespan,
        openapi_url="/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    app.state.gateway = Gateway(pool, watch, access.admission)
    errors.install(app)
    for routes in (health, metrics, models, completions, chat, play, tokenization, not_offered):
        app.include_router(routes.router)
    documents.describe(app)
    errors.close(app, "/v1")
    app.add_middleware(BodyLimit, max_bytes=access.max_body_bytes)
    app.add_middleware(Guard, keyring=access.keyring, host=host)
    # Last, and so outermost: what the guard refuses has an id and a line in the log too.
    app.add_middleware(Requests, watch=watch)
    return app
