"""A file that comes in parts: each is kept as it comes, and together they become one file."""

from __future__ import annotations

import time
from collections.abc import Sequence

from sqlalchemy import func, insert, select, update

from lmft.errors import InputError
from lmft.files.accepted import EmptyFileError, check_content
from lmft.files.blobs import Blobs, FileTooLargeError, Staged
from lmft.files.file import NewFile, add, check_expiry, check_purpose
from lmft.files.joining import join
from lmft.files.limits import MAX_PART_BYTES, max_file_bytes
from lmft.files.names import shown_name
from lmft.files.upload import (
    Part,
    Upload,
    UploadStateError,
    check_parts,
    find_upload,
    pending_upload,
    require_pending,
    require_room,
)
from lmft.object_ids import mint_id
from lmft.store import idempotency
from lmft.store.database import Store
from lmft.store.job_tables import upload_parts
from lmft.store.job_tables import uploads as table
from lmft.store.quotas import require_disk

LIFE_SECONDS = 3_600


class Uploads:
    """The uploads of a store. Safe to use from several threads and processes at once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._blobs = Blobs()

    def create(self, new: NewFile, n_bytes: int, mime_type: str, key: str | None = None) -> Upload:
        """Args:
            n_bytes: that all parts together will have.
            key: the request's Idempotency-Key.

        Raises:
            InputError: a purpose or time that cannot be. KeyReusedError. QuotaError.
            EmptyFileError, FileTooLargeError: no file is so small or so large.
        """
        check_purpose(new.purpose)
        check_expiry(new.expires_seconds)
        if n_bytes < 1:
            raise EmptyFileError("The file is empty (0 bytes).", "Upload one with text in it.")
        if n_bytes > max_file_bytes():
            raise FileTooLargeError(
                f"A file of {n_bytes} bytes is larger than {max_file_bytes()}.",
                "Split it; several files can be trained on together.",
            )
        id, now = mint_id("upload_"), int(time.time())
        row = {
            "id": id,
            "project": new.project_id,
            "purpose": new.purpose,
            "filename": shown_name(new.filename),
            "bytes": n_bytes,
            "mime_type": mime_type,
            "status": "pending",
            "file_seconds": new.expires_seconds,
            "created_at": now,
            "expires_at": now + LIFE_SECONDS,
        }
        said = vars(new) | {"bytes": n_bytes, "mime_type": mime_type}
        request = idempotency.request_sha256("uploads", said)
        with self._store.writing() as connection:
            if key is not None:
                made = idempotency.find(connection, new.project_id, key, request)
                if made is not None:
                    return find_upload(connection, made, new.project_id)
                idempotency.keep(connection, new.project_id, key, request, id)
            require_disk(connection, new.project_id, n_bytes)
            connection.execute(insert(table).values(row))
            return find_upload(connection, id, new.project_id)

    def get(self, id: str, project_id: int | None = None) -> Upload:
        """Raises UploadMissingError: there is none, or it is another project's."""
        with self._store.reading() as connection:
            return find_upload(connection, id, project_id)

    def stage(self) -> Staged:
        """Somewhere to write a part to; see Files.stage."""
        return self._blobs.stage(MAX_PART_BYTES)

    def add_part(self, staged: Staged, id: str, project_id: int | None = None) -> Part:
        """Keep a part; parts may come in any order, and several at once.

        One whose answer was lost is sent again and is another part then, so that together they
        may have twice the bytes that were announced.

        Raises:
            UploadMissingError. UploadStateError: it has ended. QuotaError.
            InputError: an empty part, or too many bytes or parts.
        """
        if not staged.n_bytes:
            raise InputError("The part is empty (0 bytes).", "Leave it out.")
        staged.finish()
        part = Part(mint_id("part_"), id, staged.n_bytes, int(time.time()))
        with self._blobs.alone(), self._store.writing() as connection:
            upload = pending_upload(connection, id, project_id)
            came = select(func.count(), func.coalesce(func.sum(upload_parts.c.bytes), 0))
            n_parts, n_bytes = connection.execute(came.where(upload_parts.c.upload == id)).one()
            require_room(upload, part.n_bytes, int(n_bytes), n_parts)
            row = {"id": part.id, "upload": id, "bytes": part.n_bytes}
            connection.execute(insert(upload_parts).values(**row, created_at=part.created_at))
            require_disk(connection, upload.project_id)
            self._blobs.put_part(staged, id, part.id)
        return part

    def complete(
        self, id: str, part_ids: Sequence[str], project_id: int | None = None, md5: str = ""
    ) -> Upload:
        """Make the file of its parts, in the order given. Asked again, it answers what it became.

        Args:
            md5: of the whole, in hex; "" to leave that unchecked.

        Raises:
            UploadMissingError. UploadStateError: it was cancelled, or its time is up.
            InputError: parts that are not its own, not all there, or not what md5 says; or
                content that is not taken in.
            QuotaError, DiskFullError, StoreError: nothing was kept.
        """
        with self._store.reading() as connection:
            upload = find_upload(connection, id, project_id)
            sizes = {
                str(part.id): int(part.bytes)
                for part in connection.execute(
                    select(upload_parts).where(upload_parts.c.upload == id)
                )
            }
        check_parts(upload, part_ids, sizes)
        if upload.status == "completed":
            return upload
        require_pending(upload)
        staged = self._blobs.stage(upload.n_bytes)
        try:
            try:
                join(self._blobs, staged, upload, part_ids, md5)
            except UploadStateError:
                # A first try, whose sender did not wait for its end, may have come to it.
                if (now := self.get(id, project_id)).status == "completed":
                    return now
                raise
            check_content(staged.path)
            sha256 = staged.finish()
            new = NewFile(upload.project_id, upload.purpose, upload.filename, upload.file_seconds)
            with self._blobs.alone():
                with self._store.writing() as connection:
                    now = find_upload(connection, id, project_id)
                    if now.status == "completed":
                        return now
                    pending_upload(connection, id, project_id)
                    file = add(connection, new, staged.n_bytes, sha256)
                    done = {"status": "completed", "file": file.id}
                    connection.execute(update(table).where(table.c.id == id).values(done))
                    require_disk(connection, upload.project_id)
                    self._blobs.put(staged, sha256)
                self._blobs.settle(sha256)
                self._blobs.remove_upload(id)
        finally:
            staged.discard()
        return self.get(id, project_id)

    def cancel(self, id: str, project_id: int | None = None) -> Upload:
        """Give it up and throw its parts away; asked again, it changes nothing.

        Raises:
            UploadMissingError. UploadStateError: it is completed, or its time is up.
        """
        with self._blobs.alone():
            with self._store.writing() as connection:
                if (upload := find_upload(connection, id, project_id)).status == "cancelled":
                    return upload
                pending_upload(connection, id, project_id)
                connection.execute(update(table).where(table.c.id == id).values(status="cancelled"))
            self._blobs.remove_upload(id)
        return self.get(id, project_id)
