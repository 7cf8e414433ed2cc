"""One request to one model: admission, a lease, the answer as it passes, and all given back."""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse

from lmft.registry.traffic import Counts
from serving.engine.refusals import UpstreamRefusal
from serving.gateway import answers
from serving.gateway.access.admission import Admitted
from serving.gateway.access.callers import caller
from serving.gateway.errors import RequestError
from serving.gateway.events import Events
from serving.gateway.state import gateway
from serving.pool.lease import Lease
from serving.watch.meter import Meter, Outcome
from serving.watch.record import Record, record_of
from serving.watch.wanted import ClientGoneError, wanted

# However long a client says it would wait for an engine that must first start.
MAX_WAIT_SECONDS = 600.0
_WAIT = re.compile(r"(?:^|[,;])\s*wait\s*=\s*\"?(\d{1,9})\"?\s*(?=$|[,;])", re.IGNORECASE)


@dataclass(frozen=True)
class Leased:
    """Attributes:
    stack: gives lease and admission back.
    """

    admitted: Admitted
    lease: Lease
    stack: contextlib.AsyncExitStack


class Asking:
    """What a generating route works with; `asking` makes it and ends it."""

    def __init__(self, request: Request, leased: Leased, meter: Meter, record: Record) -> None:
        self.lease = leased.lease
        self.model = leased.lease.model
        self._request = request
        self._admitted = leased.admitted
        self._meter = meter
        self._record = record
        self._stack = leased.stack

    async def whole(self, path: str, question: dict[str, Any]) -> dict[str, Any]:
        """The engine's whole answer to `question`."""
        answer = await self.lease.client.json(path, self._meter.asks(question))
        self._meter.whole(answer)
        return answer

    async def chunks(
        self, path: str, question: dict[str, Any]
    ) -> AsyncGenerator[dict[str, Any], None]:
        """The engine's answer as it comes, ended by a chunk with its usage."""
        self._record.stream = True
        question = self._meter.asks(question)
        stream = self.lease.client.stream(
            path, question | {"stream_options": {"include_usage": True}}
        )
        async with contextlib.aclosing(stream) as chunks:
            async for chunk in chunks:
                self._meter.piece(chunk)
                yield chunk

    def answer(self, body: dict[str, Any]) -> JSONResponse:
        return JSONResponse(body, headers=self._headers)

    @property
    def _headers(self) -> dict[str, str]:
        return answers.headers(self.model) | self._admitted.headers

    async def stream(self, events: AsyncGenerator[dict[str, Any], None]) -> Events:
        """Server-sent events. What fails before the first one is an ordinary error response.

        The lease stays until the last event is out or the client has gone.
        """
        first = await anext(events, None)
        return Events(
            first,
            events,
            held=self._stack.pop_all(),
            meter=self._meter,
            record=self._record,
            drain=gateway(self._request).watch.drain,
            headers=self._headers,
        )


@contextlib.asynccontextmanager
async def leased(request: Request, model: str) -> AsyncIterator[Leased]:
    """Have this request admitted and take a lease on `model` for it.

    See serving.gateway.access.admission and serving.pool.pool for what they raise.

    Everything inside is cancelled when the client goes, which closes the connection to the
    engine, which makes the engine end this answer.

    Raises:
        ClientGoneError, LeavingError: nobody waits for the answer any more.
    """
    state, record = gateway(request), record_of(request.scope)
    watch = state.watch
    record.asked = model
    if watch.log.texts:
        record.prompt = (await request.body()).decode(errors="replace")
    async with contextlib.AsyncExitStack() as stack, wanted(request.receive, watch.drain):
        with watch.metrics.waiting.track_inprogress():
            seconds = wait_seconds(request.headers.getlist("prefer"))
            admitted = await stack.enter_async_context(
                state.admission.enter(caller(request), model)
            )
            lease = stack.enter_context(
                await state.pool.lease(model, wait_seconds=seconds, aside=admitted.aside)
            )
        record.model, record.adapter = lease.model.id, lease.model.fingerprint
        yield Leased(admitted, lease, stack)


@contextlib.asynccontextmanager
async def asking(request: Request, model: str) -> AsyncIterator[Asking]:
    """`leased`, for a request that generates: its answer is measured."""
    watch, record = gateway(request).watch, record_of(request.scope)
    async with leased(request, model) as taken:
        model_id = taken.lease.model.id

        def count(counts: Counts) -> None:
            watch.traffic.add(model_id, counts)
            taken.admitted.used(counts.prompt_tokens + counts.completion_tokens)

        meter = taken.stack.enter_context(
            Meter(
                record,
                watch.metrics.of(model_id),
                count,
                sampled=watch.samples(model_id),
                outcome_of=_outcome,
            )
        )
        yield Asking(request, taken, meter, record)


def wait_seconds(prefer: list[str]) -> float:
    """Seconds that the client would wait: `Prefer: wait=N` (RFC 7240), at most ten minutes."""
    found = _WAIT.search(",".join(prefer))
    return min(float(found[1]), MAX_WAIT_SECONDS) if found else 0.0


def _outcome(error: BaseException) -> Outcome:
    if isinstance(error, RequestError):
        return "refused"
    if isinstance(error, UpstreamRefusal) and error.status in (400, 422):
        return "refused"
    if isinstance(error, Exception) and not isinstance(error, ClientGoneError):
        return "failed"
    return "gone"
