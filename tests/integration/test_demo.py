"""The main job, as a person runs it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lmft.registry.adapters import REQUIRED_FILES
from tests.conftest import ROOT, run_lmft

pytestmark = pytest.mark.engine


def test_demo_check_does_the_main_job_on_a_folder_of_ones_own(tmp_path: Path) -> None:
    stories = tmp_path / "stories"
    stories.mkdir()
    for file in sorted((ROOT / "recipes" / "data" / "adventures").glob("*.txt"))[:12]:
        (stories / file.name).write_text(file.read_text())
    home = tmp_path / "home"
    done = run_lmft("demo", "--check", "--data", str(stories), LMFT_HOME=str(home))
    assert done.returncode == 0, done.stdout + done.stderr
    for said in ("12 file(s)", "held-out loss:", "the adapter is proven", "All checks passed"):
        assert said in done.stdout
    (adapter,) = (home / "adapters").iterdir()
    assert {file.name for file in adapter.iterdir()} > set(REQUIRED_FILES)
    (variant,) = (home / "bases").iterdir()
    assert (variant / "model.safetensors").is_file()
