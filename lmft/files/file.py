"""One file: what it is, how it is read from its row, and what can be wrong with it."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, insert, or_, select

from lmft.errors import InputError, NotFoundError
from lmft.files.names import shown_name
from lmft.object_ids import is_id, mint_id
from lmft.store.job_tables import ENDED, PURPOSES, jobs
from lmft.store.job_tables import files as table

MIN_SECONDS, MAX_SECONDS = 3_600, 2_592_000
# What lmft itself writes; nobody uploads it.
RESULTS = "fine-tune-results"


class FileMissingError(NotFoundError):
    code = "file_not_found"


class FileInUseError(InputError):
    code = "file_in_use"


@dataclass(frozen=True)
class NewFile:
    """What is said of a file that is about to be kept.

    Attributes:
        filename: as it was given, whatever that is.
        expires_seconds: after which it goes; None for never.
    """

    project_id: int
    purpose: str
    filename: str
    expires_seconds: int | None = None


@dataclass(frozen=True)
class File:
    """Attributes:
    number: order of creation. filename: to be shown, never opened. sha256: of the content.
    created_at, expires_at: Unix seconds.
    """

    number: int
    id: str
    project_id: int
    purpose: str
    filename: str
    n_bytes: int
    sha256: str
    created_at: int
    expires_at: int | None


def check_purpose(purpose: str) -> None:
    """Raises InputError: not one that a person may give."""
    given = [one for one in PURPOSES if one != RESULTS]
    if purpose not in given:
        raise InputError(
            f"{purpose[:40]!r} is no purpose of a file.", f"Give one of {', '.join(given)}."
        )


def check_expiry(seconds: int | None) -> None:
    """Raises InputError: sooner than OpenAI lets a file go, or later."""
    if seconds is not None and not MIN_SECONDS <= seconds <= MAX_SECONDS:
        raise InputError(
            f"A file cannot expire after {seconds} seconds.",
            f"Give {MIN_SECONDS} (an hour) to {MAX_SECONDS} (30 days).",
        )


def find(connection: Connection, id: str, project_id: int | None = None) -> File:
    """A file that is there, in the transaction of the caller.

    Args:
        project_id: whose it must be; None for whoever runs this machine.

    Raises:
        FileMissingError: there is none, no longer, or it is another project's.
    """
    query = select(table).where(table.c.id == id, there())
    if project_id is not None:
        query = query.where(table.c.project == project_id)
    row = connection.execute(query).first() if is_id("file-", id) else None
    if row is None:
        raise FileMissingError(f"No such File object: {id[:80]}.", "GET /v1/files lists them.")
    return file_of(row)


def there() -> Any:
    """A condition: neither deleted nor expired. A job goes on with a file that expires under it."""
    return table.c.deleted_at.is_(None) & or_(
        table.c.expires_at.is_(None), table.c.expires_at > int(time.time())
    )


def used(connection: Connection) -> set[str]:
    """Ids of the files that jobs which have not ended work on."""
    query = select(jobs.c.training_file, jobs.c.validation_file, jobs.c.files).where(
        jobs.c.status.not_in(ENDED)
    )
    found: set[str] = set()
    for training, validation, more in connection.execute(query):
        found.update((training, *json.loads(more)))
        if validation:
            found.add(validation)
    return found


def add(connection: Connection, new: NewFile, n_bytes: int, sha256: str) -> File:
    """Write the row of a content that is in place, or will be before the transaction ends."""
    now = int(time.time())
    row = {
        "id": mint_id("file-"),
        "project": new.project_id,
        "purpose": new.purpose,
        "filename": shown_name(new.filename),
        "bytes": n_bytes,
        "sha256": sha256,
        "created_at": now,
        "expires_at": None if new.expires_seconds is None else now + new.expires_seconds,
    }
    return file_of(connection.execute(insert(table).values(row).returning(table)).one())


def file_of(row: Row[Any]) -> File:
    return File(
        number=row.number,
        id=row.id,
        project_id=row.project,
        purpose=row.purpose,
        filename=row.filename,
        n_bytes=row.bytes,
        sha256=row.sha256,
        created_at=row.created_at,
        expires_at=row.expires_at,
    )
