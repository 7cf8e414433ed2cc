"""What the routes share, put on the application once."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import Request

from serving.pool.pool import Pool


@dataclass(frozen=True)
class Gateway:
    """Attributes:
    started_at: Unix time, the `created` of a base model.
    """

    pool: Pool
    started_at: int


def gateway(request: Request) -> Gateway:
    state: Gateway = request.app.state.gateway
    return state
