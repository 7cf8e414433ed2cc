"""One upload and its parts: what they are, how they are read from their rows."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, select

from lmft.errors import InputError, NotFoundError
from lmft.files.file import File, file_of
from lmft.files.limits import MAX_PARTS
from lmft.object_ids import is_id
from lmft.store.job_tables import files
from lmft.store.job_tables import uploads as table


class UploadMissingError(NotFoundError):
    code = "upload_not_found"


class UploadStateError(InputError):
    code = "invalid_upload_state"


@dataclass(frozen=True)
class Upload:
    """Attributes:
    n_bytes: that the whole will have. file: what it became, once it is completed.
    created_at, expires_at: Unix seconds.
    """

    id: str
    project_id: int
    purpose: str
    filename: str
    n_bytes: int
    status: str
    file: File | None
    file_seconds: int | None
    created_at: int
    expires_at: int


@dataclass(frozen=True)
class Part:
    """Attributes: created_at: Unix seconds."""

    id: str
    upload: str
    n_bytes: int
    created_at: int


def find_upload(connection: Connection, id: str, project_id: int | None) -> Upload:
    """Raises UploadMissingError: there is none, or it is another project's."""
    query = select(table).where(table.c.id == id)
    if project_id is not None:
        query = query.where(table.c.project == project_id)
    row = connection.execute(query).first() if is_id("upload_", id) else None
    if row is None:
        raise UploadMissingError(f"No such Upload object: {id[:80]}.", "Create one first.")
    return _upload(connection, row)


def pending_upload(connection: Connection, id: str, project_id: int | None) -> Upload:
    """Raises UploadStateError: it has ended."""
    upload = find_upload(connection, id, project_id)
    require_pending(upload)
    return upload


def require_pending(upload: Upload) -> None:
    """Raises UploadStateError: it has ended."""
    if upload.status != "pending":
        raise UploadStateError(f"{upload.id} is {upload.status}.", "Create another upload.")


def require_room(upload: Upload, more_bytes: int, n_bytes: int, n_parts: int) -> None:
    """Raises InputError: a further part of `more_bytes` is too much.

    Args:
        n_bytes, n_parts: that have come.
    """
    if more_bytes > upload.n_bytes or n_bytes + more_bytes > 2 * upload.n_bytes:
        raise InputError(
            f"With this part, {upload.id} would be larger than the {upload.n_bytes} bytes that "
            "it was created with, also if each part came twice.",
            "Cancel it, and create one with the right size.",
        )
    if n_parts >= 2 * MAX_PARTS:
        raise InputError(
            f"{upload.id} has {n_parts} parts already.",
            f"Cancel it, and send at most {MAX_PARTS} larger ones.",
        )


def _upload(connection: Connection, row: Row[Any]) -> Upload:
    file = None
    if row.file is not None:
        # Of a file that has been deleted since, the upload says nothing.
        became = connection.execute(select(files).where(files.c.id == row.file)).one()
        file = None if became.deleted_at else file_of(became)
    over = row.status == "pending" and row.expires_at <= int(time.time())
    return Upload(
        id=row.id,
        project_id=row.project,
        purpose=row.purpose,
        filename=row.filename,
        n_bytes=row.bytes,
        status="expired" if over else row.status,
        file=file,
        file_seconds=row.file_seconds,
        created_at=row.created_at,
        expires_at=row.expires_at,
    )


def check_parts(upload: Upload, part_ids: Sequence[str], sizes: dict[str, int]) -> None:
    """Raises InputError: not its parts, or not all.

    Args:
        sizes: of all parts that have come, in bytes.
    """
    for part in part_ids:
        if part not in sizes:
            raise InputError(f"{part[:80]} is no part of {upload.id}.", "Give ids of its parts.")
    if len(set(part_ids)) < len(part_ids):
        raise InputError("A part is named twice.", "Give each id once.")
    total = sum(sizes[part] for part in part_ids)
    if total != upload.n_bytes:
        raise InputError(
            f"The parts have {total} bytes; {upload.id} was created with {upload.n_bytes}.",
            "Give all parts, or create an upload with the right size.",
        )
