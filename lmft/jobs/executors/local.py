"""Jobs as processes of this machine: each in a session of its own, gone when the worker is."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

from lmft import paths
from lmft.errors import InputError
from lmft.jobs.executors.base import Exited, Task
from lmft.jobs.folder import RESULT, VALIDATED, JobFolder
from lmft.processes import PARENT_VARIABLE

# What is none of a trainer's business: it asks no server and opens no database.
_SECRETS = ("LMFT_API_KEY", "LMFT_PARENT_KEY", "LMFT_DATABASE_URL")
_MAX_LOG_BYTES, _KEPT_LOG_BYTES = 8 << 20, 1 << 20
_SHOWN_LOG_BYTES = 64 << 10
_HANDLE = re.compile(r"(?P<job>ftjob-[0-9a-f]{24})\.(?P<kind>validate|train)\.(?P<attempt>[0-9]+)")
_SAYS = {"validate": VALIDATED, "train": RESULT}


@dataclass
class _Known:
    """Attributes:
    exited: None until its end was seen.
    """

    process: subprocess.Popen[bytes]
    exited: Exited | None = None


class LocalExecutor:
    """An Executor. Use it from the main thread only: what a thread has started dies with it.

    Args:
        module: that does the work.
    """

    def __init__(self, module: str = "lmft.jobs.child") -> None:
        self._command = (sys.executable, "-P", "-m", module)
        self._known: dict[str, _Known] = {}

    def submit(self, task: Task) -> str:
        """Raises MachineError: it cannot be written or started."""
        handle = task.handle
        if handle in self._known or self._lives(handle):
            return handle
        folder = JobFolder(task.job)
        folder.make()
        # What is there was said by an earlier one.
        folder.remove(_SAYS[task.kind])
        _bound(folder)
        with paths.disk_errors(folder.path), folder.log.open("ab") as log:
            process = subprocess.Popen(
                [*self._command, task.kind, task.job, str(task.attempt)],
                env={**_environment(), **task.environment, PARENT_VARIABLE: str(os.getpid())},
                cwd=folder.path,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._known[handle] = _Known(process)
        return handle

    def poll(self, handle: str) -> Exited | None:
        known = self._known.get(handle)
        if known is None:
            return None if self._lives(handle) else Exited()
        if known.exited is None:
            known.exited = _ended(known.process)
            if known.exited is None:
                _bound(_folder(handle))
        return known.exited

    def cancel(self, handle: str, *, force: bool) -> None:
        known = self._known.get(handle)
        if known is not None:
            # Not reaped yet, so the number is its own.
            pid = known.process.pid if known.exited is None else None
        else:
            pid = _folder(handle).owner()
        if pid is None:
            return
        with contextlib.suppress(ProcessLookupError):
            # In order it ends by itself, and its helpers with it.
            os.killpg(pid, signal.SIGKILL) if force else os.kill(pid, signal.SIGTERM)

    def logs(self, handle: str) -> str:
        with contextlib.suppress(OSError), _folder(handle).log.open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - _SHOWN_LOG_BYTES))
            return log.read().decode("utf-8", errors="replace")
        return ""

    def collect(self, handle: str) -> dict[str, Any] | None:
        found = _folder(handle).read(_SAYS[_parsed(handle)["kind"]])
        attempt = int(_parsed(handle)["attempt"])
        return found if found is not None and found.get("attempt") == attempt else None

    def _lives(self, handle: str) -> bool:
        """Whether it goes on though another process has started it. A validation dies with its
        worker and changes nothing: none is waited for."""
        return _parsed(handle)["kind"] == "train" and _folder(handle).lives()


def _ended(process: subprocess.Popen[bytes]) -> Exited | None:
    """How it ended; then its helpers are ended too, while its number still is the group's."""
    status = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    if status is None:
        return None
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    code = process.wait()
    return Exited(signal=-code) if code < 0 else Exited(code)


def _environment() -> dict[str, str]:
    return {
        name: value
        for name, value in os.environ.items()
        if name not in _SECRETS and not name.startswith(("WANDB_", "PG"))
    }


def _bound(folder: JobFolder) -> None:
    """Keep the log small: its writers append, so they go on at its new end."""
    with contextlib.suppress(OSError), folder.log.open("r+b") as log:
        size = log.seek(0, os.SEEK_END)
        if size > _MAX_LOG_BYTES:
            log.seek(size - _KEPT_LOG_BYTES)
            kept = log.read()
            log.seek(0)
            log.write(kept)
            log.truncate()


def _parsed(handle: str) -> dict[str, str]:
    match = _HANDLE.fullmatch(handle)
    if match is None:
        raise InputError(f"{handle[:80]!r} is no handle of this executor.")
    return match.groupdict()


def _folder(handle: str) -> JobFolder:
    return JobFolder(_parsed(handle)["job"])
