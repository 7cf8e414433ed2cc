"""Adapters taken from the disk: out of sight by one rename, then gone."""

from __future__ import annotations

import shutil

from lmft import paths

_HIDDEN = ".deleted-"


def remove(directory: str) -> None:
    """The adapter of that directory's name, and its merged model, as far as they are there."""
    for parent in (paths.adapters_dir(), paths.merged_dir()):
        path = parent / directory
        if path.is_dir():
            path.rename(path.with_name(f"{_HIDDEN}{directory}"))
            paths.fsync(parent)
    sweep_removed()


def sweep_removed() -> None:
    """What was taken from sight: just now, or by a process that was killed before it had gone."""
    for parent in (paths.adapters_dir(), paths.merged_dir()):
        for hidden in parent.glob(f"{_HIDDEN}*"):
            shutil.rmtree(hidden, ignore_errors=True)
