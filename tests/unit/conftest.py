"""Shared by unit tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lmft.store.database import Store, open_store


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """Of a data directory of the test's own; a test's file may have another one."""
    monkeypatch.setenv("LMFT_HOME", str(tmp_path))
    opened = open_store()
    yield opened
    opened.close()
