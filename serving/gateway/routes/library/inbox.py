"""/v1/lmft/inbox: what may train, what was decided about it, and the way to a training file."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from lmft.library.entry import Entry, EntryKind, Status
from lmft.library.inbox import Inbox
from lmft.library.training import export
from serving.gateway.routes.library.common import (
    READS,
    WRITES,
    WindowOf,
    listing,
    project_of,
    store_of,
)
from serving.gateway.schemas import library_objects as objects
from serving.gateway.schemas.library import EntryPatch, ExportRequest

router = APIRouter(prefix="/inbox")


@router.get("", response_model=objects.EntryList, responses=READS)
def list_entries(
    request: Request,
    window: WindowOf,
    status: Status | None = None,
    kind: EntryKind | None = None,
) -> dict[str, Any]:
    """Every gold edit and every vote for an answer, as something to train on."""
    page = _inbox(request).list(project_of(request), window, status=status, kind=kind)
    return listing(page, _object)


@router.post("/export", response_model=objects.Export, responses=WRITES)
def export_accepted(body: ExportRequest, request: Request) -> dict[str, Any]:
    """Make a training file of the accepted entries; a fine-tuning job takes its id."""
    made = export(store_of(request), project_of(request), body.format, body.filename, body.kind)
    return {
        "object": "lmft.inbox.export",
        "file": made.file.id,
        "filename": made.file.filename,
        "format": made.format,
        "bytes": made.file.n_bytes,
        "rows": made.rows,
        "entries": made.entries,
        "left": made.left,
    }


@router.get("/{entry_id}", response_model=objects.Entry, responses=READS)
def retrieve_entry(entry_id: str, request: Request) -> dict[str, Any]:
    """One of them."""
    return _object(_inbox(request).get(project_of(request), entry_id))


@router.patch("/{entry_id}", response_model=objects.Entry, responses=WRITES)
def decide(entry_id: str, body: EntryPatch, request: Request) -> dict[str, Any]:
    """Accept it, dismiss it, or put the decision off."""
    return _object(_inbox(request).decide(project_of(request), entry_id, body.status))


def _object(entry: Entry) -> dict[str, Any]:
    shown = {name: value for name, value in vars(entry).items() if name != "number"}
    return {"object": "lmft.inbox.entry", **shown}


def _inbox(request: Request) -> Inbox:
    return Inbox(store_of(request))
