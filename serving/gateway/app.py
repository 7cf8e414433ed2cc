"""Builds the application: routes, errors, guard, and the pool's life within it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from fastapi import FastAPI

from lmft import __version__
from lmft.files.limits import max_file_bytes
from lmft.store.database import Store
from serving.gateway import documents, errors
from serving.gateway.access.access import Access
from serving.gateway.access.guard import Guard
from serving.gateway.access.limits import BodyLimit
from serving.gateway.routes import (
    chat,
    completions,
    files,
    fine_tuning,
    health,
    jobs,
    library,
    metrics,
    models,
    not_offered,
    play,
    tokenization,
    uploads,
)
from serving.gateway.state import Gateway
from serving.gateway.sweeping import keep_swept
from serving.pool.device import Device
from serving.pool.pool import Pool
from serving.watch.requests import Requests
from serving.watch.watch import Watch

_ROUTES = (
    health,
    metrics,
    models,
    completions,
    chat,
    play,
    tokenization,
    files,
    uploads,
    fine_tuning,
    jobs,
    library,
    not_offered,
)


def build_app(
    pool: Pool,
    watch: Watch,
    access: Access,
    store: Store,
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
        sweeping = asyncio.create_task(keep_swept(store))
        try:
            yield
        finally:
            for task in (sweeping, sharing, watching, running):
                task.cancel()
                # However one of them ended, the others are ended in order.
                await asyncio.wait({task})

    app = FastAPI(
        title="lmft",
        version=__version__,
        lifespan=lifespan,
        openapi_url="/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    app.state.gateway = Gateway(pool, watch, access.admission, store)
    errors.install(app)
    for routes in _ROUTES:
        app.include_router(routes.router)
    documents.describe(app)
    errors.close(app, "/v1")
    app.add_middleware(BodyLimit, max_bytes=access.max_body_bytes, max_file_bytes=max_file_bytes())
    app.add_middleware(Guard, keyring=access.keyring, host=host)
    # Last, and so outermost: what the guard refuses has an id and a line in the log too.
    app.add_middleware(Requests, watch=watch)
    return app
