"""One request to one model, from the lease on it to the last byte of its answer."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse
from starlette.responses import StreamingResponse

from serving.gateway import answers
from serving.gateway.errors import describe
from serving.gateway.state import gateway
from serving.pool.lease import Lease


class Asking:
    """What a generating route works with; `asking` makes it and ends it."""

    def __init__(self, request: Request, lease: Lease, stack: contextlib.AsyncExitStack) -> None:
        self.lease = lease
        self.model = lease.model
        self._request = request
        self._stack = stack

    async def whole(self, path: str, question: dict[str, Any]) -> dict[str, Any]:
        """The engine's whole answer to `question`."""
        return await self.lease.client.json(path, question)

    def chunks(self, path: str, question: dict[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """The engine's answer as it comes, ended by a chunk with its usage."""
        return self.lease.client.stream(
            path, question | {"stream_options": {"include_usage": True}}
        )

    def answer(self, body: dict[str, Any]) -> JSONResponse:
        return JSONResponse(body, headers=answers.headers(self.model))

    async def stream(self, events: AsyncIterator[dict[str, Any]]) -> StreamingResponse:
        """Server-sent events. What fails before the first one is an ordinary error response;
        what fails later is an event of its own, since the status line is already out.

        The lease stays until the last event is out or the client has gone.
        """
        first = await anext(events, None)
        held = self._stack.pop_all()

        async def body() -> AsyncIterator[str]:
            async with held:
                try:
                    if first is not None:
                        yield answers.event(first)
                    async for item in events:
                        yield answers.event(item)
                except Exception as error:
                    yield answers.event(describe(error)[1])
                yield answers.DONE

        return StreamingResponse(
            body(),
            media_type="text/event-stream",
            headers=answers.headers(self.model) | {"cache-control": "no-store"},
        )


@contextlib.asynccontextmanager
async def asking(request: Request, model: str) -> AsyncIterator[Asking]:
    """Take a lease on `model` for this request; see serving.pool.pool for what it raises."""
    async with contextlib.AsyncExitStack() as stack:
        lease = stack.enter_context(await gateway(request).pool.lease(model))
        yield Asking(request, lease, stack)
