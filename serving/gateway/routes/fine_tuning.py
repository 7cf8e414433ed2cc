"""OpenAI's fine-tuning API: jobs created, listed, told to stop or go on; events, checkpoints."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import JSONResponse, Response

from lmft.errors import NotFoundError
from lmft.jobs.creation import Asker, create_job
from lmft.jobs.events import checkpoints_of, events_of
from lmft.jobs.job import Job
from lmft.jobs.objects import checkpoint_object, event_object, job_object, page
from lmft.jobs.queue import JobQueue, find
from lmft.jobs.starts import start_of
from lmft.jobs.states import Verb
from serving.gateway.access.callers import Caller, caller
from serving.gateway.documents import refusals, streamed
from serving.gateway.errors import RequestError
from serving.gateway.following import data_events, follower
from serving.gateway.schemas.fine_tuning import JobRequest
from serving.gateway.schemas.jobs import (
    FineTuningCheckpoints,
    FineTuningEvent,
    FineTuningEvents,
    FineTuningJob,
    FineTuningJobs,
)
from serving.gateway.state import gateway

router = APIRouter(prefix="/v1/fine_tuning/jobs", tags=["fine-tuning"])

_PAIR = re.compile(r"metadata\[([^\]]{1,64})\]")
_FILTER = {
    "parameters": [
        {
            "name": "metadata",
            "in": "query",
            "required": False,
            "style": "deepObject",
            "explode": True,
            "description": "Only jobs that have all of these; `metadata=null`: jobs without any.",
            "schema": {
                "type": "object",
                "maxProperties": 16,
                "additionalProperties": {"type": "string", "maxLength": 512},
            },
        }
    ]
}
After = Annotated[str | None, Query(max_length=100, description="Last id of the page before.")]
Limit = Annotated[int, Query(ge=1, le=100)]


@router.post("", response_model=FineTuningJob, responses=refusals(400, 403, 404, 422))
def create(
    body: JobRequest,
    request: Request,
    idempotency_key: Annotated[
        str | None, Header(description="Two requests with one key make one job.")
    ] = None,
) -> JSONResponse:
    """Ask for a training. Its files are looked at afterwards: `status` and events say how it is."""
    asks, store = caller(request), gateway(request).store
    asks.require_model(body.model)
    asker = Asker(asks.project_id, asks.project, asks.key_number)
    sent = body.model_dump(mode="json", exclude_unset=True)
    job = create_job(store, sent, start_of(body.model, store), asker, idempotency_key)
    return _answer(job, asks)


@router.get("", response_model=FineTuningJobs, responses=refusals(400, 404), openapi_extra=_FILTER)
def list_jobs(request: Request, after: After = None, limit: Limit = 20) -> JSONResponse:
    """The project's jobs, newest first."""
    asks = caller(request)
    chosen = _metadata(request)
    found, more = JobQueue(gateway(request).store).list(
        asks.project_id,
        after=_known(after),
        limit=limit,
        metadata=chosen,
        bare=chosen is None,
    )
    return JSONResponse(page([job_object(job, asks.project) for job in found], has_more=more))


@router.get("/{job}", response_model=FineTuningJob, responses=refusals(404))
def retrieve(job: str, request: Request) -> JSONResponse:
    """One of them."""
    asks = caller(request)
    found = JobQueue(gateway(request).store).get(known(job), asks.project_id)
    return _answer(found, asks)


@router.post("/{job}/cancel", response_model=FineTuningJob, responses=refusals(400, 404))
def cancel(job: str, request: Request) -> JSONResponse:
    """End it for good; one that runs first ends its step. Only a job that has ended cannot."""
    return _asked("cancel", job, request)


@router.post("/{job}/pause", response_model=FineTuningJob, responses=refusals(400, 404))
def pause(job: str, request: Request) -> JSONResponse:
    """Have it wait, with what it has learnt, until it is resumed."""
    return _asked("pause", job, request)


@router.post("/{job}/resume", response_model=FineTuningJob, responses=refusals(400, 404))
def resume(job: str, request: Request) -> JSONResponse:
    """Let a paused job go on from where it was."""
    return _asked("resume", job, request)


@router.get(
    "/{job}/events",
    response_model=FineTuningEvents,
    responses=streamed(FineTuningEvent) | refusals(400, 404, 429),
)
def list_events(
    job: str, request: Request, after: After = None, limit: Limit = 20, stream: bool = False
) -> Response:
    """What was said of it, newest first; with `stream` oldest first, and on until it ends."""
    asks, store = caller(request), gateway(request).store
    if stream:
        return data_events(follower(request, known(job)))
    with store.reading() as connection:
        found = find(connection, known(job), asks.project_id)
        try:
            events, more = events_of(connection, found.number, after=_known(after), limit=limit)
        except NotFoundError as error:
            raise RequestError(error.message, param="after") from error
    return JSONResponse(page(map(event_object, events), has_more=more))


@router.get(
    "/{job}/checkpoints", response_model=FineTuningCheckpoints, responses=refusals(400, 404)
)
def list_checkpoints(
    job: str, request: Request, after: After = None, limit: Limit = 10
) -> JSONResponse:
    """What can be asked for of its training, newest first."""
    asks = caller(request)
    with gateway(request).store.reading() as connection:
        found = find(connection, known(job), asks.project_id)
        try:
            kept, more = checkpoints_of(connection, found.number, after=_known(after), limit=limit)
        except NotFoundError as error:
            raise RequestError(error.message, param="after") from error
    shown = [checkpoint_object(checkpoint, found.id) for checkpoint in kept]
    return JSONResponse(page(shown, has_more=more))


def _asked(verb: Verb, job: str, request: Request) -> JSONResponse:
    asks = caller(request)
    queue = JobQueue(gateway(request).store)
    return _answer(queue.ask(verb, known(job), asks.project_id), asks)


def _answer(job: Job, asks: Caller) -> JSONResponse:
    return JSONResponse(job_object(job, asks.project))


def _metadata(request: Request) -> Mapping[str, str | None] | None:
    """`metadata[k]=v`; None for `metadata=null`."""
    chosen: dict[str, str | None] = {}
    for name, value in request.query_params.multi_items():
        if name == "metadata" and value in ("null", ""):
            return None
        if name == "metadata" or name.startswith("metadata["):
            pair = _PAIR.fullmatch(name)
            if pair is None:
                raise RequestError("A filter is `metadata[KEY]=VALUE`.", param="metadata")
            chosen[known(pair[1])] = known(value)
    return chosen


def known(text: str) -> str:
    """PostgreSQL has no text with NUL in it: what is called by one is not there."""
    return text.replace("\0", "\ufffd")


def _known(text: str | None) -> str | None:
    return None if text is None else known(text)
