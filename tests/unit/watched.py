"""A tiny job, prepared as a real one is, and what a run of it would have written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lmft.train.prepare import Job, prepare
from lmft.train.recipe import find_recipe, load_recipe
from lmft.train.watch.journal import Row
from tests.tiny import make_base
from tests.unit.tales import tale

N_STORIES = 24


def tiny_job(directory: Path, *overrides: str) -> Job:
    """24 short stories for a random GPT-2 of two layers; 64 tokens a block, 4 blocks a step."""
    data, base = directory / "stories", directory / "base"
    data.mkdir(parents=True)
    for number in range(N_STORIES):
        (data / f"{number}.txt").write_text(f"{tale(number, 4)}\n> You wait.\n{tale(number + 50)}")
    make_base(base, "gpt2")
    settings = (
        f"base={base}",
        "quantization=none",
        "training.block_tokens=64",
        "training.batch_blocks=4",
        "training.evaluations=2",
        "format.sampler.max_tokens=12",
        *overrides,
    )
    return prepare(load_recipe(find_recipe("adventure"), settings, data))


def metric(step: int, loss: float = 3.0, **values: Any) -> Row:
    """A row as the trainer's log gives one."""
    return {"step": step, "tokens": 256 * step, "seconds": 0.5 * step, "loss": loss, **values}


def evaluation(step: int, heldout: float, **values: Any) -> Row:
    row = {"step": step, "tokens": 256 * step, "seconds": 0.5 * step, "heldout_loss": heldout}
    return row | values
