"""The models that can be asked for: bases, the adapters published for them, and their aliases."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from serving.gateway.access.callers import caller
from serving.gateway.documents import refusals
from serving.gateway.errors import public
from serving.gateway.schemas.objects import DeletedModel, Model, ModelList
from serving.gateway.state import gateway
from serving.pool.catalog import unknown
from serving.pool.served import Listed

router = APIRouter(prefix="/v1", tags=["models"])


@router.get("/models", response_model=ModelList)
async def list_models(request: Request) -> JSONResponse:
    """Every model that can be asked for: adapters newest first, their aliases, the bases."""
    asks = caller(request)
    listed = [model for model in gateway(request).pool.listed() if asks.may_use(model.id)]
    return JSONResponse({"object": "list", "data": [_entry(model) for model in listed]})


@router.get("/models/{model:path}", response_model=Model, responses=refusals(404))
async def retrieve_model(model: str, request: Request) -> JSONResponse:
    """One of them. An id may be sent percent-encoded, as the SDKs do."""
    caller(request).require_model(model)
    state = gateway(request)
    for listed in state.pool.listed():
        if listed.id == model:
            entry = _entry(listed)
            entry["lmft"]["traffic"] = state.watch.traffic.summary(listed.alias_of or listed.id)
            return JSONResponse(entry)
    raise unknown(model)


@router.delete(
    "/models/{model:path}", response_model=DeletedModel, responses=refusals(400, 404, 503)
)
async def delete_model(model: str, request: Request) -> JSONResponse:
    """Take an adapter's version out of service, once nobody is asking it, and off the disk."""
    caller(request).require_model(model)
    await gateway(request).pool.delete(model)
    return JSONResponse({"id": model, "object": "model", "deleted": True})


def _entry(listed: Listed) -> dict[str, Any]:
    contract, proof = listed.contract, listed.probe
    return {
        "id": listed.id,
        "object": "model",
        "created": listed.created,
        "owned_by": listed.owner,
        "lmft": {
            "kind": contract.kind,
            "base": listed.base,
            "adapter": listed.fingerprint,
            "alias_of": listed.alias_of,
            "state": listed.state,
            "detail": public(listed.detail),
            "service": listed.service,
            "opening": contract.opening,
            "sampler": contract.sampler.model_dump(),
            "speakers": contract.speakers.model_dump() if contract.speakers else None,
            "context_length": contract.context_length,
            "probe": proof.as_dict() if proof else None,
        },
    }
