"""/v1/lmft/edits: gold edits."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from lmft.library.edits import Edit, Edits, NewEdit
from serving.gateway.routes.library.common import (
    READS,
    WRITES,
    Key,
    WindowOf,
    asked,
    deleted,
    listing,
    project_of,
    store_of,
)
from serving.gateway.schemas import library_objects as objects
from serving.gateway.schemas.library import EditRequest

router = APIRouter(prefix="/edits")


@router.post("", response_model=objects.Edit, responses=WRITES)
def create_edit(body: EditRequest, request: Request, key: Key = None) -> dict[str, Any]:
    """Keep how a model's text should have been; it goes into the inbox."""
    new = NewEdit(
        edited=body.edited,
        original=body.original or "",
        context=[message.model_dump(exclude_none=True) for message in body.context or ()],
        model=body.model,
        adapter=body.adapter,
        story=body.story,
        turn=body.turn,
    )
    return _object(_edits(request).create(project_of(request), new, asked(key, "edits", body)))


@router.get("", response_model=objects.EditList, responses=READS)
def list_edits(request: Request, window: WindowOf) -> dict[str, Any]:
    """The project's gold edits."""
    return listing(_edits(request).list(project_of(request), window), _object)


@router.get("/{edit_id}", response_model=objects.Edit, responses=READS)
def retrieve_edit(edit_id: str, request: Request) -> dict[str, Any]:
    """One of them."""
    return _object(_edits(request).get(project_of(request), edit_id))


@router.delete("/{edit_id}", response_model=objects.Deleted, responses=READS)
def delete_edit(edit_id: str, request: Request) -> dict[str, Any]:
    """Take it away, with its entry in the inbox."""
    _edits(request).delete(project_of(request), edit_id)
    return deleted("edit", edit_id)


def _object(edit: Edit) -> dict[str, Any]:
    shown = {name: value for name, value in vars(edit).items() if name != "number"}
    return {"object": "lmft.edit", **shown}


def _edits(request: Request) -> Edits:
    return Edits(store_of(request))
