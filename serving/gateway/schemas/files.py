"""Files and uploads: what a request may say, and OpenAI's objects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from lmft.files.file import MAX_SECONDS, MIN_SECONDS
from lmft.files.limits import MAX_PARTS
from lmft.files.names import MAX_CHARACTERS
from serving.gateway.schemas.objects import Object
from serving.gateway.schemas.requests import Strict, Text

# What a person may say that a file is for; lmft trains on it whatever it is.
GivenPurpose = Literal["fine-tune", "assistants", "batch", "user_data", "evals", "vision"]
Purpose = Literal[GivenPurpose, "fine-tune-results"]
_MAX_GIVEN_CHARACTERS = 4_096
Printable = Annotated[Text, StringConstraints(pattern=r"^[ -~]+$", max_length=MAX_CHARACTERS)]


class ExpiresAfter(Strict):
    anchor: Literal["created_at"]
    seconds: int = Field(ge=MIN_SECONDS, le=MAX_SECONDS)


class UploadRequest(Strict):
    bytes: int = Field(ge=1)
    filename: Text = Field(min_length=1, max_length=_MAX_GIVEN_CHARACTERS)
    mime_type: Printable
    purpose: GivenPurpose
    expires_after: ExpiresAfter | None = None


class CompleteRequest(Strict):
    part_ids: list[Annotated[Text, StringConstraints(max_length=80)]] = Field(
        min_length=1, max_length=MAX_PARTS
    )
    md5: Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F]{32}$")] | None = None


class File(Object):
    id: str
    object: Literal["file"]
    bytes: int
    created_at: int
    expires_at: int | None
    filename: str
    purpose: Purpose
    status: Literal["processed"]
    status_details: None


class FileList(Object):
    object: Literal["list"]
    data: list[File]
    first_id: str | None
    last_id: str | None
    has_more: bool


class DeletedFile(Object):
    id: str
    object: Literal["file"]
    deleted: Literal[True]


class Upload(Object):
    id: str
    object: Literal["upload"]
    bytes: int
    created_at: int
    expires_at: int
    filename: str
    purpose: GivenPurpose
    status: Literal["pending", "completed", "cancelled", "expired"]
    file: File | None


class UploadPart(Object):
    id: str
    object: Literal["upload.part"]
    created_at: int
    upload_id: str


def form(file_field: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """How the OpenAPI document describes a form with a file. Fields with a bracket, as OpenAI's
    SDK sends what lies deeper, may be left out."""
    needed = [file_field, *(name for name in fields if "[" not in name)]
    schema = {
        "type": "object",
        "required": needed,
        "additionalProperties": False,
        "properties": {file_field: {"type": "string", "format": "binary"}, **fields},
    }
    return {
        "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}
    }
