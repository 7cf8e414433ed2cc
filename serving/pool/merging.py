"""Merging an adapter into its base, in a process of its own: this one has no torch."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from lmft import paths
from lmft.errors import ProbeFailedError
from lmft.processes import PARENT_VARIABLE
from lmft.registry.adapters import Adapter
from serving.engine.process import without_paths

_TIMEOUT_SECONDS = 3600


def merged_path(adapter: Adapter) -> Path:
    """Where lmft.train.merged writes it."""
    return paths.home() / "merged" / adapter.path.name


async def require_merged(adapter: Adapter) -> Path:
    """The merged model of `adapter`, written if it is not there.

    Raises:
        ProbeFailedError: it cannot be merged; says why.
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
    except BaseException:
        process.kill()
        await process.wait()
        raise
    if process.returncode or not target.is_dir():
        lines = said.decode(errors="replace").strip().splitlines()
        reason = without_paths(lines[-1][-300:]) if lines else f"exit code {process.returncode}"
        raise ProbeFailedError(f"Adapter {adapter.id} cannot be merged: {reason}")
    return target
