"""/v1/files: what is trained on goes in, what a job came to goes out."""

from __future__ import annotations

import base64
from collections.abc import AsyncGenerator, Collection
from typing import Annotated, Any, BinaryIO, Literal, get_args
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response, StreamingResponse

from lmft.errors import LmftError
from lmft.files.blobs import Staged
from lmft.files.file import MAX_SECONDS, MIN_SECONDS, RESULTS, File, NewFile
from lmft.files.files import Files
from serving.gateway.access.callers import caller
from serving.gateway.access.limits import BeforeTheEnd
from serving.gateway.documents import refusals
from serving.gateway.errors import RequestError, error_response
from serving.gateway.multipart import Form, receive
from serving.gateway.schemas import files as schemas
from serving.gateway.state import gateway
from serving.gateway.uploading import begin

router = APIRouter(prefix="/v1", tags=["files"])

# A multiple of 3, so that the pieces of a content in base64 are the base64 of it.
_PIECE_BYTES = 3 << 18
_ANCHOR, _SECONDS = "expires_after[anchor]", "expires_after[seconds]"
_FIELDS: dict[str, Any] = {
    "purpose": {"type": "string", "enum": list(get_args(schemas.GivenPurpose))},
    _ANCHOR: {"type": "string", "enum": ["created_at"]},
    _SECONDS: {"type": "integer", "minimum": MIN_SECONDS, "maximum": MAX_SECONDS},
}
_CONTENT: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The content.",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.post(
    "/files",
    response_model=schemas.File,
    responses=refusals(400, 408, 415, 429),
    openapi_extra=schemas.form("file", _FIELDS),
)
async def upload_file(request: Request) -> Response:
    """Upload a file: JSONL, or any text, book or log that the corpus compiler reads."""
    files, key = _files(request), idempotency_key(request)
    try:
        staged, held = await begin(request, files.stage, key)
    except LmftError as error:
        return BeforeTheEnd(error_response(error))
    async with held:
        form = await received(request, "file", _FIELDS, staged)
        if isinstance(form, Response):
            return form
        new = _new_file(request, form)
        return JSONResponse(file_object(await run_in_threadpool(files.take, staged, new, key)))


@router.get("/files", response_model=schemas.FileList, responses=refusals(400, 404))
def list_files(
    request: Request,
    after: str | None = None,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 10_000,
    order: Literal["asc", "desc"] = "desc",
    purpose: str | None = None,
) -> JSONResponse:
    """The project's files, by time of creation."""
    found, more = Files(gateway(request).store).list(
        caller(request).project_id, after=after, limit=limit, order=order, purpose=purpose
    )
    data = [file_object(file) for file in found]
    ends = {"first_id": data[0]["id"], "last_id": data[-1]["id"]} if data else {}
    page = {"object": "list", "data": data, "first_id": None, "last_id": None, "has_more": more}
    return JSONResponse(page | ends)


@router.get("/files/{file_id}", response_model=schemas.File, responses=refusals(404))
def retrieve_file(file_id: str, request: Request) -> JSONResponse:
    """One of them."""
    return JSONResponse(file_object(_files(request).get(file_id, caller(request).project_id)))


@router.delete("/files/{file_id}", response_model=schemas.DeletedFile, responses=refusals(400, 404))
def delete_file(file_id: str, request: Request) -> JSONResponse:
    """Take a file away, unless a job that has not ended works on it."""
    _files(request).delete(file_id, caller(request).project_id)
    return JSONResponse({"id": file_id, "object": "file", "deleted": True})


@router.get("/files/{file_id}/content", response_class=Response, responses=_CONTENT | refusals(404))
def file_content(file_id: str, request: Request) -> Response:
    """The content; of a job's results in base64, as OpenAI sends them."""
    return _content(file_id, request, as_openai=True)


@router.get(
    "/lmft/files/{file_id}/content", response_class=Response, responses=_CONTENT | refusals(404)
)
def plain_content(file_id: str, request: Request) -> Response:
    """The content as it is, of a job's results too."""
    return _content(file_id, request, as_openai=False)


async def received(
    request: Request, file_field: str, fields: Collection[str], staged: Staged
) -> Form | Response:
    """The form, its file in `staged`; or the refusal, where it came before the body's end.

    Raises:
        RequestError: the form is not whole.
    """
    try:
        form = Form(request.headers.get("content-type", ""), file_field, fields, staged.write)
        last = await receive(request, form)
    except LmftError as error:
        return BeforeTheEnd(error_response(error))
    await run_in_threadpool(form.end, last)
    return form


def idempotency_key(request: Request) -> str | None:
    return request.headers.get("idempotency-key")


def file_object(file: File) -> dict[str, Any]:
    return {
        "id": file.id,
        "object": "file",
        "bytes": file.n_bytes,
        "created_at": file.created_at,
        "expires_at": file.expires_at,
        "filename": file.filename,
        "purpose": file.purpose,
        "status": "processed",
        "status_details": None,
    }


def _files(request: Request) -> Files:
    return Files(gateway(request).store)


def _new_file(request: Request, form: Form) -> NewFile:
    purpose, seconds = form.fields.get("purpose"), form.fields.get(_SECONDS)
    if purpose is None:
        raise RequestError(
            "`purpose` is missing.",
            "Say `fine-tune`.",
            code="missing_required_parameter",
            param="purpose",
        )
    if (seconds is None) != (_ANCHOR not in form.fields):
        raise RequestError("`expires_after` needs `anchor` and `seconds`.", param="expires_after")
    if form.fields.get(_ANCHOR, "created_at") != "created_at":
        raise RequestError("A file expires after `created_at`, no other anchor.", param=_ANCHOR)
    if seconds is not None and not (seconds.isascii() and seconds.isdigit() and len(seconds) < 10):
        raise RequestError("The seconds are no whole number.", param=_SECONDS)
    return NewFile(
        caller(request).project_id,
        purpose,
        form.filename or "",
        None if seconds is None else int(seconds),
    )


def _content(file_id: str, request: Request, *, as_openai: bool) -> Response:
    files = _files(request)
    file = files.get(file_id, caller(request).project_id)
    coded = as_openai and file.purpose == RESULTS
    length = 4 * -(-file.n_bytes // 3) if coded else file.n_bytes
    return StreamingResponse(
        _pieces(files.open(file), coded=coded),
        media_type="application/octet-stream",
        headers={
            "content-length": str(length),
            "content-disposition": f"attachment; filename*=UTF-8''{quote(file.filename, safe='')}",
            "x-content-type-options": "nosniff",
        },
    )


async def _pieces(content: BinaryIO, *, coded: bool) -> AsyncGenerator[bytes]:
    try:
        while piece := await run_in_threadpool(content.read, _PIECE_BYTES):
            yield base64.b64encode(piece) if coded else piece
    finally:
        content.close()
