"""Who of several workers over one `LMFT_HOME` is at work."""

from __future__ import annotations

import fcntl
import os
import secrets

from lmft import paths

_LOCK = "worker.lock"
_NAME_BYTES = 64


class Seat:
    """The place of the worker of this `LMFT_HOME`: a lock that dies with its process, on a file
    with the name that all workers here go by."""

    def __init__(self) -> None:
        path = paths.jobs_dir() / _LOCK
        with paths.disk_errors(path.parent):
            paths.make_dir(path.parent)
            self._lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def taken(self) -> bool:
        """Whether it is ours now."""
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def holder(self) -> str | None:
        """The name of the worker that is at work here; None where none is."""
        if self.taken():
            fcntl.flock(self._lock, fcntl.LOCK_UN)
            return None
        return self._written()

    def name(self) -> str:
        """Once it is ours."""
        name = self._written()
        if not name:
            name = f"worker-{secrets.token_hex(8)}"
            with paths.disk_errors(paths.jobs_dir()):
                os.pwrite(self._lock, name.encode(), 0)
                os.fsync(self._lock)
        return name

    def _written(self) -> str:
        return os.pread(self._lock, _NAME_BYTES, 0).decode(errors="replace").strip()
