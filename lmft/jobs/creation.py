"""A new job, in one transaction: its files are there, the quotas allow it, it is made once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from lmft.files.file import FileMissingError, find
from lmft.jobs import queue
from lmft.jobs.job import Job, NewJob
from lmft.jobs.refused import JobRequestError
from lmft.jobs.request import Start, new_job
from lmft.store import idempotency
from lmft.store.database import Store
from lmft.store.quotas import require_job

_PURPOSE = "fine-tune"


@dataclass(frozen=True)
class Asker:
    """Who asks for a job. Attributes: key: number of the key's row, None without one."""

    project_id: int
    project: str
    key: int | None = None


def create_job(
    store: Store,
    body: Mapping[str, Any],
    start: Start,
    asker: Asker,
    idempotency_key: str | None = None,
) -> Job:
    """The job that `body` asks for, or the one that an equal request with this key has made.

    Raises:
        JobRequestError: see lmft.jobs.request; also a file that is not there.
        KeyReusedError, QuotaError: nothing was made.
    """
    try:
        return _create(store, body, start, asker, idempotency_key)
    except IntegrityError:
        # PostgreSQL lets two requests with one key begin at once, and an adapter's key of eight
        # digits may be taken: what stood in the way is seen now.
        return _create(store, body, start, asker, idempotency_key)


def _create(
    store: Store,
    body: Mapping[str, Any],
    start: Start,
    asker: Asker,
    idempotency_key: str | None,
) -> Job:
    new = new_job(body, start, project_id=asker.project_id, project=asker.project, key=asker.key)
    request = idempotency.request_sha256("jobs", body)
    with store.writing() as connection:
        if idempotency_key is not None:
            made = idempotency.find(connection, asker.project_id, idempotency_key, request)
            if made is not None:
                return queue.find(connection, made, asker.project_id)
        _require_files(connection, new)
        require_job(connection, asker.project_id, asker.key)
        job = queue.create(connection, new)
        if idempotency_key is not None:
            idempotency.keep(connection, asker.project_id, idempotency_key, request, job.id)
    return job


def _require_files(connection: Connection, new: NewJob) -> None:
    wanted = [("training_file", new.files[0])]
    wanted += [("lmft.files", file) for file in new.files[1:]]
    if new.validation_file is not None:
        wanted.append(("validation_file", new.validation_file))
    for param, id in wanted:
        try:
            file = find(connection, id, new.project_id)
        except FileMissingError as error:
            raise JobRequestError(
                param, f"There is no file {id[:80]!r}.", "Upload it to /v1/files first."
            ) from error
        if file.purpose != _PURPOSE:
            raise JobRequestError(
                param,
                f"{id} was uploaded for {file.purpose!r}.",
                f"Upload it with the purpose {_PURPOSE!r}.",
            )
