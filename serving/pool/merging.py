"""Merging an adapter into its base, in a process of its own: this one has no torch."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from pathlib import Path

from lmft import paths
from lmft.errors import EngineError, ProbeFailedError
from lmft.processes import PARENT_VARIABLE
from lmft.public import without_machine
from lmft.registry.adapters import Adapter

_TIMEOUT_SECONDS = 3600
# The process's exit code where memory or disk was short: see lmft.train.merged.
_NO_ROOM = os.EX_TEMPFAIL


def merged_path(adapter: Adapter) -> Path:
    """Where the merged model of `adapter` lies, or would."""
    return paths.merged_dir() / adapter.path.name


async def require_merged(adapter: Adapter) -> Path:
    """The merged model of `adapter`, written if it is not there.

    Raises:
        ProbeFailedError: it cannot be merged; says why. EngineError: not now, it was ended, or
            the machine has no room for it.
    """
    target = merged_path(adapter)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "lmft.train.merged", str(adapter.id)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, PARENT_VARIABLE: str(os.getpid())},
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            _, said = await process.communicate()
    except BaseException as error:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        if isinstance(error, TimeoutError):
            raise _not_now(adapter, f"not done within {_TIMEOUT_SECONDS} s.") from error
        raise
    code = process.returncode or 0
    if code == 0 and target.is_dir():
        return target
    lines = said.decode(errors="replace").strip().splitlines()
    reason = without_machine(lines[-1][-300:]) if lines else f"exit code {code}."
    if code < 0:
        # The kernel's choice when memory is short; it says nothing of the adapter.
        raise _not_now(adapter, f"ended by signal {-code}.")
    if code == _NO_ROOM:
        raise _not_now(adapter, reason)
    raise ProbeFailedError(f"Adapter {adapter.id} cannot be merged: {reason}")


def _not_now(adapter: Adapter, reason: str) -> EngineError:
    return EngineError(f"Adapter {adapter.id} has not been merged: {reason}", "Try again later.")
