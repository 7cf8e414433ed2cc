"""Contents on disk, each once under the sha256 of what it holds, whole or not at all.

    files/
      staging/NAME          on its way in; its writer holds a lock on it, which dies with it
      staging/SHA256        a mark: this content is in place, and its row may not be
      blobs/SHA256          a content
      uploads/UPLOAD/PART   a part of an upload
      lock                  held by whoever changes what lies in blobs and uploads

What is renamed into place is on the disk before. The lock spans the rename and the row that
speaks of it, so that nobody takes a content away that another is just giving a row.

A content that the database has never heard of, and that has no mark, stays: the database may be a
new one, or one from before.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path

from lmft import paths
from lmft.errors import UserError
from lmft.files.locking import locked, remove_unless_locked
from lmft.object_ids import is_id

_SHA256 = re.compile(r"[0-9a-f]{64}")


class FileTooLargeError(UserError):
    code = "file_too_large"


class Staged:
    """A content on its way in; made by `Blobs.staging`.

    Attributes:
        n_bytes: written so far.
    """

    def __init__(self, directory: Path, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._sha256 = hashlib.sha256()
        self.n_bytes = 0
        self.path, self._file = locked(directory)

    def write(self, data: bytes) -> None:
        """Raises FileTooLargeError, DiskFullError."""
        self.n_bytes += len(data)
        if self.n_bytes > self._max_bytes:
            raise FileTooLargeError(
                f"The file is larger than {self._max_bytes} bytes.",
                "Split it; several files can be trained on together.",
            )
        self._sha256.update(data)
        with paths.disk_errors(self.path.parent), memoryview(data) as left:
            written = 0
            while written < len(left):
                written += self._file.write(left[written:])

    def finish(self) -> str:
        """Wait until all of it is on the disk; its sha256 in hex. Raises DiskFullError."""
        with paths.disk_errors(self.path.parent):
            os.fsync(self._file.fileno())
        return self._sha256.hexdigest()

    def discard(self) -> None:
        """Leave nothing of it, unless it has been moved into place."""
        self.path.unlink(missing_ok=True)
        self._file.close()


class Blobs:
    """The directory `files` of this `LMFT_HOME`."""

    def __init__(self) -> None:
        self._root = paths.home() / "files"
        self._staging, self._blobs = self._root / "staging", self._root / "blobs"
        self._uploads = self._root / "uploads"

    def stage(self, max_bytes: int) -> Staged:
        """Somewhere to write to; whoever asks must `discard` it in the end.

        Raises:
            DiskFullError, MachineError: it cannot be made.
        """
        with paths.disk_errors(self._root):
            self._make()
            return Staged(self._staging, max_bytes)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """The only one, of all threads and processes, that changes blobs and uploads."""
        with paths.disk_errors(self._root):
            self._make()
            lock = os.open(self._root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def path(self, sha256: str) -> Path:
        """Where a content is. Args: sha256: 64 hex digits, nothing else."""
        if not _SHA256.fullmatch(sha256):
            raise ValueError(f"no sha256: {sha256[:80]!r}")
        return self._blobs / sha256

    def put(self, staged: Staged, sha256: str) -> None:
        """Move it into place, over a copy that is there: it is the same, and may be damaged.

        Once its row is written, `settle` must follow; else the sweep takes the content away.
        """
        with paths.disk_errors(self._root):
            self._mark(sha256).touch(mode=0o600)
        self._move(staged, self.path(sha256))

    def settle(self, sha256: str) -> None:
        """Its row is written."""
        self._mark(sha256).unlink(missing_ok=True)

    def remove(self, sha256: str) -> None:
        self.path(sha256).unlink(missing_ok=True)

    def part_path(self, upload: str, part: str) -> Path:
        if not (is_id("upload_", upload) and is_id("part_", part)):
            raise ValueError(f"no ids of a part: {upload[:80]!r}, {part[:80]!r}")
        return self._uploads / upload / part

    def put_part(self, staged: Staged, upload: str, part: str) -> None:
        target = self.part_path(upload, part)
        with paths.disk_errors(self._root):
            target.parent.mkdir(mode=0o700, exist_ok=True)
            paths.fsync(self._uploads)
        self._move(staged, target)

    def remove_upload(self, upload: str) -> None:
        """All of its parts."""
        if is_id("upload_", upload):
            shutil.rmtree(self._uploads / upload, ignore_errors=True)

    def sweep(self, kept: Collection[str], over: Collection[str], uploads: Collection[str]) -> None:
        """Remove what is over, and what dead processes were writing.

        Args:
            kept: contents (sha256) that a file has. over: those that only deleted files had.
            uploads: ids of those that have ended.
        """
        with paths.disk_errors(self._root):
            self._make()
            for blob in self._blobs.iterdir():
                if blob.name in over:
                    blob.unlink(missing_ok=True)
            for upload in self._uploads.iterdir():
                if upload.name in uploads:
                    shutil.rmtree(upload, ignore_errors=True)
            for staged in self._staging.iterdir():
                if _SHA256.fullmatch(staged.name) and staged.name not in kept:
                    self.remove(staged.name)
                remove_unless_locked(staged)

    def _mark(self, sha256: str) -> Path:
        return self._staging / self.path(sha256).name

    def _make(self) -> None:
        for directory in (self._root, self._staging, self._blobs, self._uploads):
            paths.make_dir(directory, 0o700)

    def _move(self, staged: Staged, target: Path) -> None:
        with paths.disk_errors(self._root):
            staged.path.replace(target)
            paths.fsync(target.parent)
