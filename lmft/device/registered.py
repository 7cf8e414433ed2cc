"""A record that others can read for as long as its process lives, and no longer.

A file each in `$LMFT_HOME/device`, locked (flock) by its owner: the kernel drops the lock when the
process dies, however it does, and the next reader removes the file.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Generic, Self, TypeVar

from pydantic import BaseModel, ValidationError

from lmft import paths

# Written in place, as a new file would not have the lock; a reader may meet it half-written.
_FILE_BYTES = 1024
_READS = 5


class Record(BaseModel):
    """What a process tells of itself.

    Attributes:
        pid: for people, and to see what memory it takes; that it lives, the lock says.
    """

    pid: int


T = TypeVar("T", bound=Record)


class Registered(Generic[T]):
    """A record of this process, from here until `close`, or its death.

    Raises:
        DiskFullError, MachineError: it cannot be written.
    """

    def __init__(self, record: T) -> None:
        self.record = record
        directory = _directory()
        with paths.disk_errors(directory):
            paths.make_dir(directory)
            self._file, made = tempfile.mkstemp(prefix=".", dir=directory)
            fcntl.flock(self._file, fcntl.LOCK_EX)
            self._write()
            name = f"{_kind(type(record))}-{record.pid}{Path(made).name}.json"
            # Only here others see it: locked and whole.
            self._path = Path(made).rename(directory / name)

    def update(self, **changes: object) -> None:
        """Change some fields."""
        self.record = self.record.model_copy(update=changes)
        with paths.disk_errors(self._path):
            self._write()

    def close(self) -> None:
        self._path.unlink(missing_ok=True)
        os.close(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _write(self) -> None:
        os.pwrite(self._file, self.record.model_dump_json().encode().ljust(_FILE_BYTES), 0)


def living(kind: type[T]) -> list[T]:
    """The records of this kind whose processes live, in no order."""
    found = []
    for path in _directory().glob(f"{_kind(kind)}-*.json"):
        with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
            if _left_behind(file.fileno()):
                path.unlink()
            elif record := _read(file.fileno(), kind):
                found.append(record)
    return found


def _directory() -> Path:
    return paths.home() / "device"


def _kind(kind: type[Record]) -> str:
    return kind.__name__.lower()


def _left_behind(file: int) -> bool:
    """Whether nobody holds the lock on `file` any more."""
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read(file: int, kind: type[T]) -> T | None:
    """The record; None where it cannot be understood, as when another version wrote it."""
    for _ in range(_READS):
        with contextlib.suppress(ValidationError):
            return kind.model_validate_json(os.pread(file, _FILE_BYTES, 0))
    return None
