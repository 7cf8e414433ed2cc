"""What the routes share, put on the application once."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import Request

from lmft.dataset.encode import Encoder
from serving.engine.supervisor import Supervisor


@dataclass(frozen=True)
class Gateway:
    """Attributes:
    encoder: the base's tokenizer, the same object that training uses.
    context_length: of the engine; no contract can go beyond it.
    """

    supervisor: Supervisor
    encoder: Encoder
    context_length: int
    base_name: str
    started_at: int


def gateway(request: Request) -> Gateway:
    state: Gateway = request.app.state.gateway
    return state
