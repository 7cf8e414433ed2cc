"""GET /metrics: the server's figures for Prometheus. The engines' own /metrics stay inside."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from serving.gateway.state import gateway
from serving.watch.engines import Families, engine_families, traffic_families

router = APIRouter()


@router.get("/metrics", include_in_schema=False)
async def metrics(request: Request) -> Response:
    state = gateway(request)
    own, pool = state.watch.metrics, state.pool
    own.keep_only({listed.id for listed in pool.listed()})
    asked = Families([*await engine_families(pool), *traffic_families(state.watch.traffic.known())])

    def written() -> bytes:
        return generate_latest(own.registry) + generate_latest(asked)

    # Hundreds of models are thousands of lines: not between two tokens of a stream.
    return Response(await asyncio.to_thread(written), media_type=CONTENT_TYPE_LATEST)
