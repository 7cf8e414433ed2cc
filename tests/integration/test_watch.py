"""One real tiny training, watched: what it leaves, and what it leaves alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT

SCRIPT = """
import sys, tempfile
from pathlib import Path
from lmft.train.environment import prepare_libraries
prepare_libraries()
from rich.console import Console
from lmft.train.model import load_trainable
from lmft.train.trainer import make_trainer
from lmft.train.watch.watch import Watch
from tests.unit.watched import tiny_job
here = Path(sys.argv[1])
job = tiny_job(here / "job", "training.epochs=1", "energy.country=FRA")
weights = []
for watched in (True, False):
    model = load_trainable(job.base, job.plan, job.recipe.lora, 1)
    (here / "run").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        if watched:
            with Watch(job, model, here / "run", Console(), resumed_at=None) as watch:
                arguments = (model, job.blocks, job.recipe, job.plan, Path(scratch))
                make_trainer(*arguments, watch.callbacks).train()
                watch.finish()
        else:
            make_trainer(model, job.blocks, job.recipe, job.plan, Path(scratch), []).train()
    weights.append([p.detach().clone() for p in model.parameters() if p.requires_grad])
same = all(a.equal(b) for a, b in zip(*weights, strict=True))
print(f"STEPS {job.plan.steps} SAME {same} AFTER {watch.heldout_after} {watch.energy.kwh}")
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The run's directory and what it printed."""
    here = tmp_path_factory.mktemp("watched")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT, str(here)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return here / "run", done.stdout


def rows(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_a_watched_training_learns_the_same_weights_to_the_bit(run: tuple[Path, str]) -> None:
    assert "SAME True" in run[1]


def test_the_run_leaves_metrics_for_each_step_and_evaluations_at_their_places(
    run: tuple[Path, str],
) -> None:
    metrics = rows(run[0] / "metrics.jsonl")
    steps = int(run[1].rpartition("STEPS ")[2].split()[0])
    assert [row["step"] for row in metrics if "loss" in row] == [*range(1, steps + 1)]
    measured = [row["step"] for row in metrics if "heldout_loss" in row]
    assert measured == [0, round(steps / 2), steps]
    last = metrics[-1]
    assert last["tokens"] == steps * 256
    assert {"epoch", "learning_rate", "grad_norm", "seconds", "tokens_per_second", "mfu"} <= {*last}
    assert last["peak_memory_bytes"] > 10**8
    seconds = [row["seconds"] for row in metrics]
    assert seconds == sorted(seconds)


def test_samples_before_and_after_are_of_the_same_prompts(run: tuple[Path, str]) -> None:
    written = rows(run[0] / "samples.jsonl")
    before = [row for row in written if row["step"] == 0]
    after = [row for row in written if row["step"] == written[-1]["step"]]
    assert len(before) == len(after) == 3
    for one, other in zip(before, after, strict=True):
        assert (one["prompt"], one["seed"]) == (other["prompt"], other["seed"])


def test_the_run_ends_with_its_gain_its_cost_and_where_the_report_is(
    run: tuple[Path, str],
) -> None:
    directory, said = run
    for part in ("held-out loss: ", "tokens/s", f"report: {directory / 'report.html'}"):
        assert part in said
    assert ("CO2e (France)" in said) == (
        '"kwh": null' not in (directory / "energy.json").read_text()
    )
    left = {file.name for file in directory.iterdir()}
    assert left >= {"metrics.jsonl", "samples.jsonl", "loss.png", "report.html", "energy.json"}
    assert len([*(directory / "tensorboard").iterdir()]) == 1
