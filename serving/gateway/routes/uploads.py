"""/v1/uploads: a file in parts, for what is too large or too far away to be sent at once."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response

from lmft.errors import LmftError
from lmft.files.file import NewFile
from lmft.files.upload import Upload
from lmft.files.uploads import Uploads
from serving.gateway.access.callers import caller
from serving.gateway.access.limits import BeforeTheEnd
from serving.gateway.documents import refusals
from serving.gateway.errors import error_response
from serving.gateway.routes.files import file_object, idempotency_key, received
from serving.gateway.schemas import files as schemas
from serving.gateway.state import gateway
from serving.gateway.uploading import begin, place

router = APIRouter(prefix="/v1", tags=["uploads"])


@router.post("/uploads", response_model=schemas.Upload, responses=refusals(400, 422))
def create_upload(body: schemas.UploadRequest, request: Request) -> JSONResponse:
    """Begin a file that comes in parts; it has an hour to be completed."""
    after = body.expires_after
    new = NewFile(
        caller(request).project_id, body.purpose, body.filename, after.seconds if after else None
    )
    made = _uploads(request).create(new, body.bytes, body.mime_type, idempotency_key(request))
    return JSONResponse(_object(made))


@router.post(
    "/uploads/{upload_id}/parts",
    response_model=schemas.UploadPart,
    responses=refusals(400, 404, 408, 415, 429),
    openapi_extra=schemas.form("data", {}),
)
async def add_part(upload_id: str, request: Request) -> Response:
    """Add a part of at most 64 MiB. Parts may come in any order, and several at once."""
    uploads, project = _uploads(request), caller(request).project_id
    try:
        await run_in_threadpool(uploads.get, upload_id, project)
        staged, held = await begin(request, uploads.stage)
    except LmftError as error:
        return BeforeTheEnd(error_response(error))
    async with held:
        form = await received(request, "data", (), staged)
        if isinstance(form, Response):
            return form
        part = await run_in_threadpool(uploads.add_part, staged, upload_id, project)
    return JSONResponse(
        {
            "id": part.id,
            "object": "upload.part",
            "created_at": part.created_at,
            "upload_id": part.upload,
        }
    )


@router.post(
    "/uploads/{upload_id}/complete",
    response_model=schemas.Upload,
    responses=refusals(400, 404, 415, 422, 429),
)
async def complete_upload(
    upload_id: str, body: schemas.CompleteRequest, request: Request
) -> JSONResponse:
    """Make the file of its parts, in the order given."""
    uploads, asks = _uploads(request), caller(request)
    # It is put together beside its parts, and counts only then.
    with place(asks.project):
        done = await run_in_threadpool(
            uploads.complete, upload_id, body.part_ids, asks.project_id, body.md5 or ""
        )
    return JSONResponse(_object(done))


@router.post(
    "/uploads/{upload_id}/cancel", response_model=schemas.Upload, responses=refusals(400, 404)
)
def cancel_upload(upload_id: str, request: Request) -> JSONResponse:
    """Give it up and throw its parts away."""
    return JSONResponse(_object(_uploads(request).cancel(upload_id, caller(request).project_id)))


def _uploads(request: Request) -> Uploads:
    return Uploads(gateway(request).store)


def _object(upload: Upload) -> dict[str, Any]:
    return {
        "id": upload.id,
        "object": "upload",
        "bytes": upload.n_bytes,
        "created_at": upload.created_at,
        "expires_at": upload.expires_at,
        "filename": upload.filename,
        "purpose": upload.purpose,
        "status": upload.status,
        "file": file_object(upload.file) if upload.file else None,
    }
