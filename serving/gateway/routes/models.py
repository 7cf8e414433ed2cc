"""The models that can be asked for: the base and the adapters published for it."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from lmft.errors import NotFoundError
from lmft.format.contract import FormatContract
from lmft.registry.adapters import Adapter
from serving.engine.live import LiveAdapters
from serving.gateway.state import Gateway, gateway

router = APIRouter(prefix="/v1")


@router.get("/models")
async def list_models(request: Request) -> dict[str, Any]:
    return {"object": "list", "data": _all(gateway(request))}


@router.get("/models/{model:path}")
async def retrieve_model(model: str, request: Request) -> dict[str, Any]:
    for entry in _all(gateway(request)):
        if entry["id"] == model:
            return entry
    raise NotFoundError(
        f"The model {model!r} does not exist.", "GET /v1/models lists what there is."
    )


def _all(state: Gateway) -> list[dict[str, Any]]:
    live = state.pool.supervisor.adapters
    adapters = [_adapter(adapter, live) for adapter in live.servable()]
    base = live.base
    entry = _entry(base.id, state.started_at, "lmft", base.contract)
    entry["lmft"] |= {
        "base": state.pool.base_name,
        "adapter": "base",
        "state": "live",
        "probe": None,
    }
    return [*adapters, entry]


def _adapter(adapter: Adapter, live: LiveAdapters) -> dict[str, Any]:
    public = str(adapter.id)
    created = int(adapter.manifest.created_at.timestamp())
    entry = _entry(public, created, adapter.id.org, adapter.contract)
    proof = live.probe_result(public)
    entry["lmft"] |= {
        "base": adapter.manifest.base if adapter.manifest.base == "embedded" else adapter.id.base,
        "adapter": adapter.manifest.adapter_hash[:12],
        "state": live.state(public),
        "probe": proof.as_dict() if proof else None,
    }
    return entry


def _entry(public: str, created: int, owner: str, contract: FormatContract) -> dict[str, Any]:
    return {
        "id": public,
        "object": "model",
        "created": created,
        "owned_by": owner,
        "lmft": {
            "kind": contract.kind,
            "opening": contract.opening,
            "sampler": contract.sampler.model_dump(),
            "speakers": contract.speakers.model_dump() if contract.speakers else None,
        },
    }
