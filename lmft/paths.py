"""Where things live, and how a directory appears on disk all at once or not at all."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from safetensors import SafetensorError

from lmft.errors import DiskFullError, MachineError

PACKAGE = Path(__file__).resolve().parent
EMBEDDED_BASE = PACKAGE / "assets" / "base"
_STAGING, _REPLACED = ".staging-", ".replaced-"


def home() -> Path:
    """The data directory: `LMFT_HOME`, else `$XDG_DATA_HOME/lmft`, else `~/.local/share/lmft`."""
    if explicit := os.environ.get("LMFT_HOME"):
        return expanded(explicit).resolve()
    data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return expanded(data).resolve() / "lmft"


def expanded(text: str) -> Path:
    """A path as a person writes it: `~` is home, `~nobody` stands for itself."""
    return Path(os.path.expanduser(text))


def adapters_dir() -> Path:
    return home() / "adapters"


def bases_dir() -> Path:
    return home() / "bases"


def pretrained_dir() -> Path:
    """Bases of one's own and the runs that make them: see lmft.pretrain.folder."""
    return home() / "pretrained"


def merged_dir() -> Path:
    """Adapters merged into their bases, by the name of the adapter's directory."""
    return home() / "merged"


def corpora_dir() -> Path:
    return home() / "corpora"


def runs_dir() -> Path:
    """Training runs, finished and not: see lmft.train.durable.runs."""
    return home() / "runs"


def jobs_dir() -> Path:
    """Jobs of the service, a directory each: see lmft.jobs.folder."""
    return home() / "jobs"


def recipes_dir() -> Path:
    """The shipped recipes: beside the packages in a checkout, inside `lmft` in a wheel."""
    checkout = PACKAGE.parent / "recipes"
    return checkout if checkout.is_dir() else PACKAGE / "recipes"


def make_dir(directory: Path, mode: int = 0o777) -> None:
    """`directory` is there, with what is above it. A data directory that lmft makes is its user's
    alone: people's texts lie in it, mostly readable for all who may enter.

    Raises:
        OSError: as of Path.mkdir.
    """
    root = home()
    if directory.is_relative_to(root):
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.mkdir(mode=mode, parents=True, exist_ok=True)


def free_bytes(path: Path) -> int:
    """Free disk space where `path` is, or would be once created."""
    return shutil.disk_usage(_existing(path)).free


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path


def require_free(path: Path, needed_bytes: int, what: str) -> None:
    """Raise when `path` could not be written now: better before a long job than after it.

    Raises:
        DiskFullError: less than `needed_bytes` is free there; MachineError: no directory that
            this user can write to.
    """
    existing = _existing(path)
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        raise MachineError(
            f"{what} cannot be written to {path}: {existing} is not a directory you can write to.",
            "Set LMFT_HOME to one.",
        )
    free = free_bytes(path)
    if free < needed_bytes:
        raise DiskFullError(
            f"{what} needs {needed_bytes / 1e6:.0f} MB on the disk of {path}, "
            f"{free / 1e6:.0f} MB are free.",
            "Free some space, or set LMFT_HOME to another disk.",
        )


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn a full or read-only disk under `path` into one of ours."""
    try:
        yield
    except SafetensorError as error:
        # Its file errors are no OSError; the system's number is only in the text.
        if f"os error {errno.ENOSPC}" in str(error):
            raise _full(path) from error
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _full(path) from error
        if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            raise MachineError(
                f"Cannot write to {path}: {os.strerror(error.errno)}.",
                "Set LMFT_HOME to a directory you can write to.",
            ) from error
        raise


def _full(path: Path) -> DiskFullError:
    return DiskFullError(
        f"The disk of {path} is full.", "Free some space, or set LMFT_HOME to another disk."
    )


@contextlib.contextmanager
def publishing(target: Path, may_appear: Callable[[], None] = lambda: None) -> Iterator[Path]:
    """Yield a staging directory beside `target` that becomes `target` by one rename.

    Whatever goes wrong inside, nothing half-written stays: the staging directory is removed.
    Every file is fsynced before the rename, so a power cut leaves all or nothing.

    Args:
        may_appear: called right before the rename; raises to keep `target` from appearing.

    Raises:
        DiskFullError: no space left; MachineError: the parent cannot be written, or `target`
            is there already.
    """
    with disk_errors(target.parent):
        make_dir(target.parent)
        _sweep(target.parent)
        staging = Path(tempfile.mkdtemp(prefix=f"{_STAGING}{os.getpid()}-", dir=target.parent))
    try:
        with disk_errors(target.parent):
            yield staging
            for file in sorted(staging.rglob("*")):
                if file.is_file():
                    fsync(file)
            fsync(staging)
            staging.chmod(0o755)
            may_appear()
            _appear(staging, target)
            fsync(target.parent)
    finally:
        if staging.exists():
            shutil.rmtree(staging, ignore_errors=True)


def replace(made: Path, target: Path) -> None:
    """The directory `made` becomes `target`; what was there is gone only once it has.

    Both lie on one disk. After a power cut there is the old, the new, or the old beside it
    under a name that begins with `.replaced-`.
    """
    for file in (*sorted(made.rglob("*")), made):
        fsync(file)
    made.chmod(0o755)
    if not target.exists():
        made.rename(target)
        fsync(target.parent)
        return
    older = Path(tempfile.mkdtemp(prefix=_REPLACED, dir=target.parent)) / target.name
    target.rename(older)
    try:
        made.rename(target)
    except BaseException:
        older.rename(target)
        older.parent.rmdir()
        raise
    fsync(target.parent)
    shutil.rmtree(older.parent, ignore_errors=True)


@contextlib.contextmanager
def scratch(parent: Path) -> Iterator[Path]:
    """An empty directory in `parent` that goes at the end; what killed processes left goes now."""
    _sweep(parent)
    try:
        made = tempfile.TemporaryDirectory(prefix=f"{_STAGING}{os.getpid()}-", dir=parent)
    except FileNotFoundError as error:
        # What /proc says instead of "not permitted".
        raise MachineError(f"Cannot write to {parent}: {error.strerror}.") from error
    with made as path:
        yield Path(path)


def _sweep(directory: Path) -> None:
    """Remove what a killed process left half-written: its number is in the directory's name."""
    for left in directory.glob(f"{_STAGING}*-*"):
        owner = left.name.removeprefix(_STAGING).partition("-")[0]
        if owner.isdigit() and not _alive(int(owner)):
            shutil.rmtree(left, ignore_errors=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _appear(staging: Path, target: Path) -> None:
    try:
        staging.rename(target)
    except OSError as error:
        if error.errno in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
            raise MachineError(
                f"{target} exists already.", "Another lmft has just written it: try again."
            ) from error
        raise


def fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
