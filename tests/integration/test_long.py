"""What takes minutes: `make test-all`."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import ROOT, run_lmft
from tests.integration.test_engine_life import alive, eventually, family

pytestmark = [pytest.mark.engine, pytest.mark.long]


def test_a_demo_killed_at_any_moment_leaves_nothing_and_the_next_one_works(
    tmp_path: Path,
) -> None:
    """`kill -9` while importing, training, publishing, starting vLLM or serving."""
    home = tmp_path / "home"
    moments = random.Random(1)
    for _ in range(6):
        demo = subprocess.Popen(
            [sys.executable, "-m", "lmft.cli", "demo", "--check"],
            env={**os.environ, "LMFT_HOME": str(home)},
            stdout=subprocess.DEVNULL,
            cwd=ROOT,
        )
        time.sleep(moments.uniform(2, 110))
        everyone = family(demo.pid)
        demo.kill()
        demo.wait()
        eventually(lambda everyone=everyone: not any(map(alive, everyone)), "all to end")
        for adapter in (home / "adapters").glob("[!.]*"):
            shown = run_lmft("models", "show", adapter.name[-8:], LMFT_HOME=str(home))
            assert shown.returncode == 0, shown.stderr
    done = run_lmft("demo", "--check", LMFT_HOME=str(home))
    assert done.returncode == 0, done.stdout + done.stderr
    assert not list((home / "adapters").glob(".staging-*"))
