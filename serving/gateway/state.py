"""What the routes share, put on the application once."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import Request

from lmft.store.database import Store
from serving.gateway.access.admission import Admission
from serving.pool.pool import Pool
from serving.watch.watch import Watch


@dataclass(frozen=True)
class Gateway:
    pool: Pool
    watch: Watch
    admission: Admission
    store: Store


def gateway(request: Request) -> Gateway:
    state: Gateway = request.app.state.gateway
    return state
