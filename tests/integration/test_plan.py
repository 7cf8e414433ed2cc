"""`lmft plan` for real: what it says, what it refuses, and that the memory is as it says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, run_lmft

# What any machine can do in seconds, whatever it has free.
SMALL = ("--set", "training.batch_blocks=2", "--set", "training.block_tokens=64")


def test_a_plan_says_memory_time_disk_energy_and_every_choice() -> None:
    done = run_lmft("plan", "adventure", *SMALL, "--set", "energy.price_per_kwh=0.3", COLUMNS="160")
    assert done.returncode == 0, done.stderr
    for said in (
        *("peak memory", "activations", "optimizer", "free", "tokens/s, measured"),
        *("time", "disk", "kWh", "EUR", "quantization nf4: as the recipe says"),
        *("micro_blocks 2", "activation_checkpointing off", "compile off"),
    ):
        assert said in done.stdout


def test_a_plan_in_json_is_json_and_adds_up() -> None:
    done = run_lmft("plan", "adventure", *SMALL, "--json")
    assert done.returncode == 0, done.stderr
    planned = json.loads(done.stdout)
    plan, memory = planned["plan"], planned["memory_bytes"]
    assert plan["micro_blocks"] * plan["accumulation"] == plan["batch_blocks"] == 2
    assert plan["tokens"] == plan["steps"] * 2 * 64
    assert 0 < memory["peak"] < memory["free"]
    # Rounded to a tenth of a token.
    assert planned["seconds"] == pytest.approx(
        plan["tokens"] / planned["tokens_per_second"], rel=0.01, abs=0.1
    )
    watts = planned["energy"]["watts"]
    assert planned["energy"]["kwh"] == pytest.approx(watts * planned["seconds"] / 3.6e6, rel=0.05)


@pytest.mark.parametrize("verb", ["plan", "train"])
def test_what_cannot_fit_is_refused_in_one_line_before_anything_loads(
    verb: str, tmp_path: Path
) -> None:
    huge = ("batch_blocks=1000000", "micro_blocks=1000000", "activation_checkpointing=false")
    sets = [part for key in huge for part in ("--set", f"training.{key}")]
    done = run_lmft(
        *(verb, "adventure", *sets, "--set", "training.compile=false"), LMFT_HOME=str(tmp_path)
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "are free; with training.activation_checkpointing true" in done.stderr
    assert not list(tmp_path.glob("adapters/*"))


def test_a_measurement_leaves_the_model_as_it_was() -> None:
    script = """
import json, torch
from lmft.train.environment import prepare_libraries
prepare_libraries()
from lmft.train.model import load_trainable
from lmft.train.prepare import prepare
from lmft.train.planning.probe import tokens_per_second
from lmft.train.recipe import find_recipe, load_recipe
sets = ["training.batch_blocks=2", "training.block_tokens=64", "training.compile=false"]
job = prepare(load_recipe(find_recipe("adventure"), sets))
model = load_trainable(job.base, job.plan, job.recipe.lora, 1)
model.eval()
before = [one.clone() for one in model.parameters()]
state = torch.get_rng_state()
speed = tokens_per_second(model, job.blocks, job.plan)
same = all(torch.equal(a, b) for a, b in zip(before, model.parameters()))
print(json.dumps({
    "speed": speed, "same": same, "training": model.training,
    "random": torch.equal(state, torch.get_rng_state()),
    "gradients": sum(one.grad is not None for one in model.parameters()),
}))
"""
    done = in_process("-c", script)
    found = json.loads(done.splitlines()[-1])
    assert found.pop("speed") > 0
    assert found == {"same": True, "training": False, "random": True, "gradients": 0}


def test_the_planned_peak_is_within_15_percent_of_the_measured_one() -> None:
    plan = {"quantization": "nf4", "block_tokens": 256, "micro_blocks": 8, "keep_dequantised": True}
    found = json.loads(in_process("bench/peak.py", "embedded", json.dumps(plan)).splitlines()[-1])
    assert found["predicted"] == pytest.approx(found["measured"], rel=0.15)


def in_process(*arguments: str) -> str:
    """What Python prints, away from pytest: libraries warn on import, and memory is counted."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", *arguments],
        capture_output=True,
        text=True,
        timeout=600,
        env=os.environ.copy(),
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
