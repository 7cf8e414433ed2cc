"""Is the process alive, can it answer?"""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from serving.gateway.documents import RETRY_AFTER
from serving.gateway.errors import RETRY_AFTER_SECONDS, public
from serving.gateway.schemas.objects import Object
from serving.gateway.state import gateway

router = APIRouter(tags=["health"])


class Alive(Object):
    status: Literal["alive"]


class Readiness(Object):
    status: Literal["starting", "ready", "failed", "stopping"]
    phase: str
    detail: str


# Some who watch a server ask by HEAD.
@router.head("/healthz", include_in_schema=False)
@router.get("/healthz", response_model=Alive)
async def healthz() -> dict[str, str]:
    """200 while the process lives."""
    return {"status": "alive"}


@router.head("/readyz", include_in_schema=False)
@router.get(
    "/readyz",
    response_model=Readiness,
    responses={503: {"model": Readiness, "description": "Not yet.", "headers": RETRY_AFTER}},
)
async def readyz(request: Request) -> JSONResponse:
    """200 when it can answer; says what it is doing until then."""
    state = gateway(request)
    if state.watch.drain.leaving:
        leaving = {"status": "stopping", "phase": "ending what is running", "detail": ""}
        return JSONResponse(leaving, 503, {"retry-after": str(RETRY_AFTER_SECONDS)})
    status = state.pool.status
    # Anyone may ask: neither the name of what is trained, nor what an error says of the machine.
    phase = "a model is being trained" if state.pool.lent else public(status.phase)
    said = {"status": status.status, "phase": phase, "detail": public(status.detail)}
    if status.status == "ready":
        return JSONResponse(said)
    return JSONResponse(said, 503, {"retry-after": str(RETRY_AFTER_SECONDS)})
