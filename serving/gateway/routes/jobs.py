"""Of a job what OpenAI has no word for: corpus and plan, metrics, samples, a stream; and the
recipes that lmft brings along."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import JSONResponse, Response

from lmft.errors import NotFoundError
from lmft.jobs.attempts import Attempts
from lmft.jobs.objects import detail_object, metric_object, page, sample_object
from lmft.jobs.queue import JobQueue, find
from lmft.jobs.rows import metrics_after, metrics_since, samples_of
from lmft.jobs.shipped import recipes_object
from lmft.jobs.starts import bases
from serving.gateway.access.callers import caller
from serving.gateway.documents import events, refusals
from serving.gateway.errors import RequestError
from serving.gateway.following import follower, named_events
from serving.gateway.routes.fine_tuning import After, known
from serving.gateway.schemas.jobs import JobDetail, JobNews, Rows, ShippedRecipes
from serving.gateway.state import gateway

router = APIRouter(prefix="/v1/lmft", tags=["jobs"])

MaxRows = Annotated[int, Query(ge=1, le=10_000)]


@router.get("/recipes", response_model=ShippedRecipes)
def list_recipes(request: Request) -> JSONResponse:
    """The recipes that come with lmft, as `lmft.preset` names them, and the bases to train over."""
    asks = caller(request)
    return JSONResponse(recipes_object([base for base in bases() if asks.may_use(base)]))


@router.get("/jobs/{job}", response_model=JobDetail, responses=refusals(404))
def show_job(job: str, request: Request) -> JSONResponse:
    """The job with what validation found, the plan, how far it is, and all its attempts."""
    asks, store = caller(request), gateway(request).store
    queue = JobQueue(store)
    found = queue.get(known(job), asks.project_id)
    attempts = Attempts(store, "").of(found)
    report = queue.report(found.id, asks.project_id)
    return JSONResponse(detail_object(found, asks.project, report, attempts))


@router.get("/jobs/{job}/metrics", response_model=Rows, responses=refusals(400, 404))
def list_metrics(
    job: str,
    request: Request,
    after: After = None,
    after_step: Annotated[
        int | None,
        Query(ge=-1, le=2**53, description="Of later steps only; may miss a step's second row."),
    ] = None,
    limit: MaxRows = 1000,
) -> JSONResponse:
    """Rows of the run's metrics, oldest first.

    A step that is evaluated has two. Whoever polls goes on with `after`, the `id` of the last row.
    """
    asks = caller(request)
    if after is not None and after_step is not None:
        raise RequestError("Give `after` or `after_step`, not both.", param="after_step")
    with gateway(request).store.reading() as connection:
        number = find(connection, known(job), asks.project_id).number
        try:
            if after_step is None:
                last = None if after is None else known(after)
                rows, more = metrics_since(connection, number, last, limit)
            else:
                rows, more = metrics_after(connection, number, after_step, limit)
        except NotFoundError as error:
            raise RequestError(error.message, param="after") from error
    return JSONResponse(page(map(metric_object, rows), has_more=more))


@router.get("/jobs/{job}/samples", response_model=Rows, responses=refusals(400, 404))
def list_samples(job: str, request: Request, limit: MaxRows = 1000) -> JSONResponse:
    """What the model wrote on the way, oldest first."""
    asks = caller(request)
    with gateway(request).store.reading() as connection:
        number = find(connection, known(job), asks.project_id).number
        rows, more = samples_of(connection, number, limit)
    return JSONResponse(page(map(sample_object, rows), has_more=more))


@router.get(
    "/jobs/{job}/stream",
    response_class=Response,
    responses=events(JobNews) | refusals(400, 404, 429),
)
def stream_job(
    job: str,
    request: Request,
    after: Annotated[str | None, Query(max_length=20)] = None,
    last_event_id: Annotated[str | None, Header()] = None,
) -> Response:
    """The job as it goes on, as server-sent events, until it has ended. Begin again with the
    `id` that was heard last, in `Last-Event-ID` or `after`."""
    return named_events(follower(request, known(job), last_event_id or after))
