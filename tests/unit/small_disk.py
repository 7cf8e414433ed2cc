"""A real disk that is really full, or really read-only: a tmpfs of a few pages."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


@contextlib.contextmanager
def mounted(path: Path, options: str) -> Iterator[Path]:
    """Mount a tmpfs with `options` at `path`; skip the test where that is not permitted."""
    path.mkdir()
    try:
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(path)]
        done = subprocess.run(command, capture_output=True, text=True)
    except OSError as error:
        pytest.skip(f"NOT TESTED: no small disk, there is no mount command ({error})")
    if done.returncode:
        pytest.skip(f"NOT TESTED: no small disk, mount is not permitted ({done.stderr.strip()})")
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)
