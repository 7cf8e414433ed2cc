"""Files on their way in: locked as long as they are written, and the lock dies with the writer."""

from __future__ import annotations

import fcntl
import io
import os
import tempfile
from pathlib import Path


def locked(directory: Path) -> tuple[Path, io.FileIO]:
    """A new file in `directory`, mode 0600, locked as long as it is open."""
    while True:
        descriptor, name = tempfile.mkstemp(dir=directory)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        # A sweep may have come between the two.
        if os.fstat(descriptor).st_nlink:
            return Path(name), io.FileIO(descriptor, "wb")
        os.close(descriptor)


def remove_unless_locked(file: Path) -> None:
    """Take it away, unless a process that lives is writing it."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        file.unlink(missing_ok=True)
    except BlockingIOError:
        pass
    finally:
        os.close(descriptor)
