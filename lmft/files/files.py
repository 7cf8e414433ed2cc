"""The files of a store: taken in, listed, opened, deleted."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO, Literal

from sqlalchemy import func, select, update

from lmft.files.accepted import check_content
from lmft.files.blobs import Blobs, Staged
from lmft.files.file import (
    RESULTS,
    File,
    FileInUseError,
    NewFile,
    add,
    check_expiry,
    check_purpose,
    file_of,
    find,
    there,
    used,
)
from lmft.files.layout import lay_out, lost
from lmft.files.limits import max_file_bytes
from lmft.store import idempotency
from lmft.store.database import Store
from lmft.store.job_tables import files as table
from lmft.store.quotas import require_disk


class Files:
    """Safe to use from several threads and processes at once.

    Args:
        store: of this `LMFT_HOME`, since the contents lie there too.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._blobs = Blobs()

    def stage(self) -> Staged:
        """Somewhere to write an upload to; `take` keeps it, and `discard` must follow either way.

        Raises:
            DiskFullError, MachineError: there is no room or right to write.
        """
        return self._blobs.stage(max_file_bytes())

    def take(self, staged: Staged, new: NewFile, key: str | None = None) -> File:
        """Keep what was uploaded.

        Args:
            key: the request's Idempotency-Key: the file that an equal request made stands for
                this one's.

        Raises:
            InputError: a purpose or time that cannot be, or content that is not taken in.
            KeyReusedError: the key belongs to another request.
            QuotaError: the project has no room for it.
            DiskFullError, StoreError: nothing was kept.
        """
        check_purpose(new.purpose)
        check_expiry(new.expires_seconds)
        check_content(staged.path)
        return self._keep(staged, new, key)

    def create(self, pieces: Iterable[bytes], new: NewFile) -> File:
        """Keep what lmft itself writes, as it is; nothing is held but the piece at hand.

        Raises:
            QuotaError, FileTooLargeError, DiskFullError, StoreError: nothing was kept. What
            `pieces` raises.
        """
        staged = self.stage()
        try:
            for piece in pieces:
                staged.write(piece)
            return self._keep(staged, new, None)
        finally:
            staged.discard()

    def get(self, id: str, project_id: int | None = None) -> File:
        """Args: project_id: whose it must be; None for whoever runs this machine.

        Raises:
            FileMissingError: there is none, no longer, or it is another project's.
        """
        with self._store.reading() as connection:
            return find(connection, id, project_id)

    def delete(self, id: str, project_id: int | None = None) -> File:
        """Take a file away; its content goes when no other file has the same.

        Raises:
            FileMissingError. FileInUseError: a job that has not ended works on it.
        """
        with self._blobs.alone():
            with self._store.writing() as connection:
                file = find(connection, id, project_id)
                if id in used(connection):
                    raise FileInUseError(
                        f"{id} is used by a job that has not ended.",
                        "Cancel the job first, or wait for its end.",
                    )
                connection.execute(
                    update(table).where(table.c.id == id).values(deleted_at=int(time.time()))
                )
            # Only once the row is gone for good; a crash between the two leaves it to the sweep.
            same = (table.c.sha256 == file.sha256) & table.c.deleted_at.is_(None)
            with self._store.reading() as connection:
                others = connection.scalar(select(func.count()).where(same))
            if not others:
                self._blobs.remove(file.sha256)
        return file

    def path_of(self, file: File) -> Path:
        """Where its content lies; to be read only."""
        return self._blobs.path(file.sha256)

    def open(self, file: File) -> BinaryIO:
        """Raises StoreError: its content is gone from the disk."""
        try:
            return self.path_of(file).open("rb")
        except FileNotFoundError as error:
            raise lost(file) from error

    def materialise(self, ids: Sequence[str], directory: Path) -> list[Path]:
        """Lay files out for a reader, which goes by content and name: `001-my-novel.txt`, in the
        order given. Doing it again is no harm. Expired files of a job count too.

        Raises:
            FileMissingError: one has been deleted. StoreError: a content is gone.
            DiskFullError, MachineError: `directory` cannot be written.
        """
        with self._store.reading() as connection:
            rows = connection.execute(
                select(table).where(table.c.id.in_(ids), table.c.deleted_at.is_(None))
            ).all()
            found = {row.id: file_of(row) for row in rows}
            wanted = [found.get(id) or find(connection, id) for id in ids]
        return lay_out(self._blobs, wanted, directory)

    def _keep(self, staged: Staged, new: NewFile, key: str | None) -> File:
        sha256 = staged.finish()
        request = idempotency.request_sha256("files", vars(new) | {"sha256": sha256})
        with self._blobs.alone():
            with self._store.writing() as connection:
                if key is not None:
                    made = idempotency.find(connection, new.project_id, key, request)
                    if made is not None:
                        return find(connection, made, new.project_id)
                file = add(connection, new, staged.n_bytes, sha256)
                # What a job has come to is kept, however full the project is.
                if new.purpose != RESULTS:
                    require_disk(connection, new.project_id)
                if key is not None:
                    idempotency.keep(connection, new.project_id, key, request, file.id)
                self._blobs.put(staged, sha256)
            self._blobs.settle(sha256)
        return file

    def list(
        self,
        project_id: int | None = None,
        *,
        after: str | None = None,
        limit: int = 10_000,
        order: Literal["asc", "desc"] = "desc",
        purpose: str | None = None,
    ) -> tuple[list[File], bool]:
        """By time of creation, and whether there are more.

        Args:
            after: id of the last file of the page before.

        Raises:
            FileMissingError: no file `after`.
        """
        number, newest = table.c.number, order == "desc"
        query = select(table).where(there()).limit(limit + 1)
        query = query.order_by(number.desc() if newest else number)
        if project_id is not None:
            query = query.where(table.c.project == project_id)
        if purpose is not None:
            query = query.where(table.c.purpose == purpose)
        with self._store.reading() as connection:
            if after is not None:
                last = find(connection, after, project_id).number
                query = query.where(number < last if newest else number > last)
            rows = connection.execute(query).all()
        return [file_of(row) for row in rows[:limit]], len(rows) > limit
