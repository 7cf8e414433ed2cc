"""Is the process alive, can it answer?"""

from __future__ import annotations

from dataclasses import asdict

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from serving.gateway.errors import RETRY_AFTER_SECONDS
from serving.gateway.state import gateway

router = APIRouter()


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    return {"status": "alive"}


@router.get("/readyz")
async def readyz(request: Request) -> JSONResponse:
    status = gateway(request).pool.supervisor.status
    if status.status == "ready":
        return JSONResponse(asdict(status))
    return JSONResponse(asdict(status), 503, {"retry-after": str(RETRY_AFTER_SECONDS)})
