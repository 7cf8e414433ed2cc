"""/v1/lmft/presets: sampler values under a name."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request

from lmft.library.presets import Preset, Presets
from serving.gateway.routes.library.common import (
    READS,
    WRITES,
    WindowOf,
    deleted,
    listing,
    project_of,
    store_of,
)
from serving.gateway.schemas import library_objects as objects
from serving.gateway.schemas.library import Sampler

router = APIRouter(prefix="/presets")

# A part of a path, so no `/`, and no `.` or `..`, which clients take away.
_Name = Annotated[str, Path(max_length=64, pattern=r"^\w[^/\x00-\x1f\x7f]*$")]


@router.get("", response_model=objects.PresetList, responses=READS)
def list_presets(request: Request, window: WindowOf) -> dict[str, Any]:
    """The project's presets."""
    return listing(_presets(request).list(project_of(request), window), _object)


@router.get("/{name}", response_model=objects.Preset, responses=READS)
def retrieve_preset(name: _Name, request: Request) -> dict[str, Any]:
    """One of them."""
    return _object(_presets(request).get(project_of(request), name))


@router.put("/{name}", response_model=objects.Preset, responses=WRITES)
def save_preset(name: _Name, body: Sampler, request: Request) -> dict[str, Any]:
    """Save sampler values under this name, in the place of what it had."""
    return _object(_presets(request).put(project_of(request), name, body.given()))


@router.delete("/{name}", response_model=objects.Deleted, responses=READS)
def delete_preset(name: _Name, request: Request) -> dict[str, Any]:
    """Take it away; the name is free again."""
    return deleted("preset", _presets(request).delete(project_of(request), name).id)


def _object(preset: Preset) -> dict[str, Any]:
    return {"object": "lmft.preset", **vars(preset)}


def _presets(request: Request) -> Presets:
    return Presets(store_of(request))
