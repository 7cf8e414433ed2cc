"""Training through kills, signals, full disks, too little memory and broken files: real ones.

One run without any fault is the measure: whatever happened on the way, CPU and fp32 must give
its adapter, bit by bit. `lmft train` itself is killed and stopped here; driver.py goes through
the other faults in one process, since each process imports torch for seconds.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lmft import machine, paths
from tests.conftest import ROOT, START_SECONDS
from tests.unit.small_disk import mounted

STORIES = sorted((paths.recipes_dir() / "data" / "adventures").glob("*.txt"))[:8]
RECIPE = """\
name: tiny
base: {base}
data: text
quantization: none
heldout_share: 0.1
format: {{kind: adventure, sampler: {{max_tokens: 8}}}}
lora: {{rank: 4}}
training:
  {{epochs: 1, block_tokens: 64, batch_blocks: 8, micro_blocks: 8, evaluations: 2,
    checkpoint_minutes: 0}}
"""
# Steps that are done when driver.py lets its faults happen.
STEP = 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A recipe, its text, and a place for its base."""
    made: Path = tmp_path_factory.mktemp("faults")
    (made / "text").mkdir()
    for story in STORIES:
        (made / "text" / story.name).write_bytes(story.read_bytes())
    (made / "recipe.yaml").write_text(RECIPE.format(base=made / "base"))
    return made


@pytest.fixture(scope="module")
def seen(folder: Path, tmp_path_factory) -> Iterator[dict[str, Any]]:
    """What driver.py saw in each of its scenarios."""
    # In one place, and so no chance to skip everything: without it one scenario is left out.
    disk = tmp_path_factory.mktemp("disk") / "small"
    try:
        with mounted(disk, "size=120m"):
            yield drive(folder, disk)
    except pytest.skip.Exception:
        yield drive(folder, disk)


def drive(folder: Path, disk: Path) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.fault.driver", folder, disk, str(STEP)],
        capture_output=True,
        text=True,
        timeout=2 * START_SECONDS,
        env=quiet_environment(folder),
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def quiet_environment(home: Path) -> dict[str, str]:
    """One thread: the models are too small for more, and other tests run beside."""
    return {**os.environ, "LMFT_HOME": str(home), "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def wanted(seen: dict[str, Any]) -> str:
    """sha256 of the adapter that nothing happened to."""
    digest: str = seen["control"]["hash"]
    assert len(digest) == 64, digest
    return digest


def attempts(seen: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = seen["record"]["attempts"]
    return found


def test_a_published_run_keeps_its_small_files_only(seen):
    left = seen["control"]["left"]
    assert {"run.json", "recipe.yaml", "metrics.jsonl", "samples.jsonl"} <= set(left)
    assert not [name for name in left if name.startswith("step-") or "optimizer" in name]


def test_a_loss_that_is_no_number_stops_and_keeps_the_last_good_checkpoint(seen):
    nan = seen["nan"]
    assert f"at step {STEP + 1}. Step {STEP} is kept." in nan["first"]
    assert "--set training.learning_rate=0.0005" in nan["first"]
    assert nan["checkpoints"] == [STEP - 1, STEP]
    assert attempts(nan)[0]["ended"] == "diverged"


def test_a_diverged_run_goes_on_from_there_with_a_lower_rate_and_not_without(seen, wanted):
    nan = seen["nan"]
    assert "would again" in nan["as it was"]
    assert len(attempts(nan)) == 2
    assert attempts(nan)[1]["first_step"] == STEP
    assert nan["record"]["state"] == "published"
    assert nan["changed"] != wanted


def test_two_crashes_at_one_step_are_not_tried_a_third_time(seen, wanted):
    crash = seen["crash"]
    assert all("lmft train --resume tiny-" in said for said in crash["said"])
    assert f"twice at step {STEP}" in crash["said"][2]
    assert [(one["step"], one["ended"]) for one in attempts(crash)] == [(STEP, "crashed")] * 2
    assert crash["record"]["state"] == "failed"
    # With a change it is tried again, and nothing was lost.
    assert crash["changed"] == wanted


def test_out_of_memory_halves_the_micro_batch_and_goes_on_from_the_checkpoint(seen):
    first, second = attempts(seen["injected_out_of_memory"])
    assert (first["micro_blocks"], first["ended"], first["step"]) == (8, "out of memory", STEP)
    assert (second["micro_blocks"], second["first_step"], second["step"]) == (
        4,
        STEP,
        seen["control"]["steps"],
    )
    assert seen["injected_out_of_memory"]["record"]["tuning"]["accumulation"] == 2


def test_a_real_memory_limit_is_survived(seen):
    limited = seen["memory_limit"]
    first, *others = attempts(limited)
    assert first["ended"] == "out of memory"
    assert "allocate" in first["detail"]
    assert others[-1]["ended"] == "published"
    tuning = limited["record"]["tuning"]
    assert tuning["micro_blocks"] < 128 == tuning["micro_blocks"] * tuning["accumulation"]


def test_the_adapter_is_the_same_but_for_rounding_after_out_of_memory(seen):
    rounding = 1e-4 if machine.serving_dtype() == "float32" else 1e-2
    assert seen["injected_out_of_memory"]["difference"] < rounding


def test_what_never_fits_ends_with_what_to_change(seen):
    never = seen["never_enough_memory"]
    sizes = [one["micro_blocks"] for one in attempts(never)]
    assert sizes == [8, 4, 2, 1, 1]
    assert never["record"]["tuning"]["activation_checkpointing"]
    assert never["record"]["state"] == "failed"
    assert "block_tokens" in never["said"]


def test_a_damaged_checkpoint_goes_to_quarantine_and_the_one_before_gives_the_same(seen, wanted):
    damaged = seen["damaged"]
    assert damaged["newest"] == STEP
    assert attempts(damaged)[1]["first_step"] == STEP - 1
    assert damaged["quarantine"] == [f"step-{STEP:08d}-1"]
    assert damaged["hash"] == wanted


def test_a_full_disk_loses_nothing_and_the_run_goes_on_when_there_is_room(seen, wanted):
    if "full_disk" not in seen:
        pytest.skip("NOT TESTED: no small disk, mount is not permitted")
    full = seen["full_disk"]
    assert "is full" in full["said"]
    assert "Free some space, then: lmft train --resume tiny-" in full["said"]
    assert full["checkpoints"] == [STEP - 1, STEP]
    assert full["half-written"] == []
    assert full["hash"] == wanted


class Life:
    """One run of the real command, process after process."""

    process: subprocess.Popen[str]

    def __init__(self, folder: Path, home: Path) -> None:
        self.folder, self.home = folder, home
        self._log = home.with_suffix(".log")

    def start(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "lmft.cli", "train", *arguments]
        with self._log.open("a") as log:
            self.process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                text=True,
                env=quiet_environment(self.home),
                cwd=ROOT,
            )

    def until(self, happened: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not happened():
            assert self.process.poll() is None, self.log
            assert time.monotonic() < deadline, self.log
            time.sleep(0.0005)

    def kill_while(self, happening: Callable[[], bool]) -> None:
        """kill -9 when it surely is in the midst of it: it stands still while that is looked at."""
        while True:
            self.until(happening)
            self.process.send_signal(signal.SIGSTOP)
            if happening():
                break
            self.process.send_signal(signal.SIGCONT)
        assert self.end(signal.SIGKILL) == -signal.SIGKILL

    def end(self, number: int | None = None) -> int:
        """Its exit code, after the signal if there is one."""
        if number is not None:
            self.process.send_signal(number)
        return self.process.wait(timeout=START_SECONDS)

    @property
    def log(self) -> str:
        return self._log.read_text()

    @property
    def run(self) -> Path:
        return next((self.home / "runs").iterdir())

    def step(self) -> int:
        """What the process in progress has reached; -1 before it trains."""
        files = list(self.home.glob("runs/*/reached"))
        text = files[0].read_text().strip() if files else ""
        return int(text) if text else -1

    def attempts(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads((self.run / "run.json").read_text())["attempts"]
        return found

    def adapter(self) -> str:
        (file,) = self.home.glob("adapters/*/adapter_model.safetensors")
        return hashlib.sha256(file.read_bytes()).hexdigest()


def test_kill_stop_and_resume_give_the_very_adapter_of_an_undisturbed_run(
    folder, seen, wanted, tmp_path
):
    steps = seen["control"]["steps"]
    life = Life(folder, tmp_path / "home")
    life.start(str(folder / "recipe.yaml"))
    life.until(lambda: life.step() >= 2)

    # While it trains, it is nobody else's.
    life.process.send_signal(signal.SIGSTOP)
    second = subprocess.run(
        [sys.executable, "-m", "lmft.cli", "train", "--resume", life.run.name],
        capture_output=True,
        text=True,
        env=quiet_environment(life.home),
        cwd=ROOT,
    )
    assert second.returncode == 1
    assert "being trained by another process" in second.stderr

    # SIGTERM: the step is finished and kept.
    life.process.send_signal(signal.SIGTERM)
    assert life.end(signal.SIGCONT) == 143, life.log
    stopped = life.attempts()[-1]
    assert stopped["ended"] == "stopped"
    assert 2 <= stopped["step"] < steps
    line = f"stopped at step {stopped['step']}; go on with: lmft train --resume {life.run.name}"
    assert line in life.log
    assert (life.run / "checkpoints" / f"step-{stopped['step']:08d}").is_dir()

    # kill -9 in the midst of writing a checkpoint; then it is found without its name.
    life.start("--resume")
    life.kill_while(lambda: any(life.run.glob("checkpoints/.staging-*/*")))

    life.start("--resume", life.run.name)
    assert life.end() == 0, life.log
    assert life.adapter() == wanted
    told = [one["ended"] for one in life.attempts()]
    assert told == ["stopped", "died", "published"]
    assert not list((life.run / "checkpoints").iterdir())
    rows = [json.loads(line) for line in (life.run / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if "loss" in row] == list(range(1, steps + 1))


@pytest.mark.long
@pytest.mark.parametrize("seed", range(3))
def test_many_kills_at_random_moments_give_the_same_adapter(folder, seen, wanted, tmp_path, seed):
    """Also in loading, in evaluations, and between the last step and the published adapter."""
    chance = random.Random(seed)
    steps = seen["control"]["steps"]
    life = Life(folder, tmp_path / "home")
    life.start(str(folder / "recipe.yaml"))
    life.until(lambda: any(life.home.glob("runs/*/run.json")))
    for _ in range(6):
        at_step = chance.choice([-1, *range(max(0, life.step()) + 1, steps + 1)])
        life.until(lambda at=at_step: life.step() >= at)
        time.sleep(chance.uniform(0, 1 if at_step in (-1, steps) else 0.1))
        life.end(signal.SIGKILL)
        if list(life.home.glob("adapters/*/MANIFEST.json")):
            break
        life.start("--resume")
    assert life.end() == 0, life.log
    assert life.adapter() == wanted
