"""What `model` of a job means."""

from __future__ import annotations

from pathlib import Path

import pytest

from lmft.ids import AdapterId
from lmft.jobs.starts import bases
from tests.unit.test_registry import edit_manifest, publish


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LMFT_HOME", str(tmp_path))
    return tmp_path


def trained_over(base: str, key: str, created_at: str) -> None:
    adapter = publish(adapter_id=AdapterId("mine", "me", "tale", key * 8))
    edit_manifest(adapter, base=base, created_at=created_at)


def test_a_short_name_means_the_base_that_was_trained_over_last() -> None:
    trained_over("/old/mine", "a", "2026-01-01T00:00:00Z")
    trained_over("/new/mine", "b", "2026-02-01T00:00:00Z")
    trained_over("/older/mine", "c", "2025-12-01T00:00:00Z")
    assert bases({})["mine"] == "/new/mine"
    assert bases({"LMFT_BASES": "/set/mine"})["mine"] == "/set/mine"
