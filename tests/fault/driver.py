"""Trains in one process through one fault after the other; started by test_training_faults.py.

usage: driver.py FOLDER SMALL_DISK STEP [SCENARIO...]

FOLDER holds `recipe.yaml`, whose base FOLDER/base is made here. Each scenario has a data
directory of its own, FOLDER/NAME, and its fault when STEP steps are done. Prints a JSON object:
what each scenario saw, by its name.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from rich.console import Console
from safetensors.torch import load_file
from transformers import TrainerCallback

from lmft.errors import LmftError
from lmft.registry.adapters import Adapter
from lmft.train import run as job
from lmft.train.durable.checkpoint import MANIFEST, step_of
from lmft.train.durable.reopen import reopen
from lmft.train.environment import prepare_libraries
from lmft.train.prepare import prepare
from lmft.train.recipe import load_recipe
from tests.tiny import make_base

_MAKE_TRAINER = job.make_trainer


class At(TrainerCallback):
    """`act` once, when `step` steps are done and the next begins; with `always` each time."""

    step: int

    def __init__(self, act: Callable[[Any], None], always: bool = False) -> None:
        self._act, self._always = act, always
        self._done = False

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == self.step and (self._always or not self._done):
            self._done = True
            self._act(kwargs["model"])


class Scenario:
    """A data directory, and what comes of training in it."""

    def __init__(self, folder: Path, home: Path) -> None:
        self._recipe = folder / "recipe.yaml"
        self.home = home
        self.seen: dict[str, Any] = {}

    def train(self, *overrides: str, fault: TrainerCallback | None = None) -> str:
        """One `lmft train`; what it said in the end, or the adapter's hash."""
        recipe = load_recipe(self._recipe, overrides)
        return self._go(lambda: job.run(prepare(recipe), Console(quiet=True)), fault)

    def resume(self, *overrides: str, fault: TrainerCallback | None = None) -> str:
        def again() -> Adapter:
            name = next((self.home / "runs").iterdir()).name
            recipe, run = reopen(name, overrides)
            return job.run(prepare(recipe), Console(quiet=True), run)

        return self._go(again, fault)

    def _go(self, train: Callable[[], Adapter], fault: TrainerCallback | None) -> str:
        os.environ["LMFT_HOME"] = str(self.home)
        extra = [fault] if fault else []
        job.make_trainer = lambda *given: _MAKE_TRAINER(*given[:-1], [*given[-1], *extra])
        try:
            adapter = train()
        except (LmftError, RuntimeError) as error:
            return "\n".join([str(error), *getattr(error, "__notes__", [])])
        return hashlib.sha256((adapter.path / "adapter_model.safetensors").read_bytes()).hexdigest()

    @property
    def record(self) -> dict[str, Any]:
        return json.loads(next(self.home.glob("runs/*/run.json")).read_text())

    def checkpoints(self) -> list[int]:
        return sorted(step_of(file.parent) for file in self.home.glob(f"runs/*/*/*/{MANIFEST}"))


def control(scenario: Scenario) -> None:
    scenario.seen["hash"] = scenario.train()
    scenario.seen["steps"] = scenario.record["attempts"][0]["step"]
    run = next((scenario.home / "runs").iterdir())
    scenario.seen["left"] = sorted(one.name for one in run.rglob("*"))


def nan(scenario: Scenario) -> None:
    """A loss that is no number, twice, and a third try with another rate."""

    def poison(model: Any) -> None:
        with torch.no_grad():
            next(one for one in model.parameters() if one.requires_grad).fill_(float("nan"))

    scenario.seen["first"] = scenario.train(fault=At(poison))
    scenario.seen["checkpoints"] = scenario.checkpoints()
    scenario.seen["as it was"] = scenario.resume()
    scenario.seen["changed"] = scenario.resume("training.learning_rate=1e-4")
    scenario.seen["record"] = scenario.record


def crash(scenario: Scenario) -> None:
    """The same error at the same step, again and again."""

    def fail(model: Any) -> None:
        raise RuntimeError("the sky fell down")

    fault = At(fail, always=True)
    scenario.seen["said"] = [
        scenario.train(fault=fault),
        scenario.resume(fault=fault),
        scenario.resume(),
    ]
    scenario.seen["record"] = scenario.record
    scenario.seen["changed"] = scenario.resume("training.evaluations=3")


def injected_out_of_memory(scenario: Scenario) -> None:
    def fail(model: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    scenario.seen["hash"] = scenario.train(fault=At(fail))
    scenario.seen["record"] = scenario.record
    plain, halved = (
        load_file(next((scenario.home.parent / name).glob("adapters/*/*.safetensors")))
        for name in (control.__name__, injected_out_of_memory.__name__)
    )
    scenario.seen["difference"] = max(
        float((plain[name] - halved[name]).norm() / plain[name].norm()) for name in plain
    )


def never_enough_memory(scenario: Scenario) -> None:
    def fail(model: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    scenario.seen["said"] = scenario.train(fault=At(fail, always=True))
    scenario.seen["record"] = scenario.record


# Of malloc.h.
_M_MMAP_THRESHOLD = -3


class MemoryLimit(At):
    """In the first step the kernel refuses memory beyond MEMORY_BYTES more than there is.

    The first, since later ones use what steps before have left in the heap; and not in what
    comes before and after it: an evaluation takes as much whatever the micro-batch is.
    """

    step = 0

    def __init__(self) -> None:
        super().__init__(self._limit, always=True)
        self._before = resource.getrlimit(resource.RLIMIT_DATA)
        # Else glibc keeps what large tensors leave, more or less of it from run to run, and the
        # step finds room there that the kernel is not asked for.
        if not ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, 1 << 17):
            raise OSError("mallopt refuses")

    def _limit(self, model: Any) -> None:
        status = Path("/proc/self/status").read_text()
        data_kib = int(status.partition("VmData:")[2].split()[0])
        most = data_kib * 1024 + MEMORY_BYTES
        resource.setrlimit(resource.RLIMIT_DATA, (most, self._before[1]))

    def on_init_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        resource.setrlimit(resource.RLIMIT_DATA, self._before)

    on_step_end = on_init_end


def memory_limit(scenario: Scenario) -> None:
    # In float32 on every machine: what oneDNN takes for itself in bf16 is more than the limit.
    with patch("lmft.machine.cpu_has_bf16", return_value=False):
        scenario.seen["hash"] = scenario.train(
            "training.block_tokens=128",
            "training.batch_blocks=128",
            "training.epochs=2",
            "training.evaluations=1",
            "training.micro_blocks=128",
            fault=MemoryLimit(),
        )
    scenario.seen["record"] = scenario.record


def damaged(scenario: Scenario) -> None:
    """Stopped by an error; then a bit of the newest checkpoint flips."""

    def fail(model: Any) -> None:
        raise RuntimeError("stop here")

    scenario.train(fault=At(fail))
    newest = max(scenario.home.glob("runs/*/checkpoints/step-*"))
    scenario.seen["newest"] = step_of(newest)
    file = newest / "optimizer.safetensors"
    content = bytearray(file.read_bytes())
    content[-5] ^= 4
    file.write_bytes(content)
    scenario.seen["hash"] = scenario.resume()
    scenario.seen["record"] = scenario.record
    scenario.seen["quarantine"] = [one.name for one in scenario.home.glob("runs/*/quarantine/*")]


def full_disk(scenario: Scenario) -> None:
    """The disk of the data directory fills up while it trains."""
    ballast = scenario.home / "ballast"

    def fill(model: Any) -> None:
        with ballast.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"0" * 65536)
            except OSError:
                pass

    scenario.seen["said"] = scenario.train(fault=At(fill))
    scenario.seen["checkpoints"] = scenario.checkpoints()
    scenario.seen["half-written"] = [str(one) for one in scenario.home.glob("runs/*/*/.*")]
    scenario.seen["record"] = scenario.record
    ballast.unlink()
    scenario.seen["hash"] = scenario.resume()


# 128 blocks of 128 tokens at once need about 100 MB, 32 need about 40.
MEMORY_BYTES = 64_000_000
SCENARIOS = (
    # First, while the heap holds no room of others that it could use.
    memory_limit,
    control,
    nan,
    crash,
    injected_out_of_memory,
    never_enough_memory,
    damaged,
    full_disk,
)


def main() -> None:
    folder, small_disk = map(Path, sys.argv[1:3])
    At.step, chosen = int(sys.argv[3]), sys.argv[4:]
    prepare_libraries()
    if not (folder / "base").exists():
        make_base(folder / "base", "gpt2")
    seen = {}
    for scenario in SCENARIOS:
        if chosen and scenario.__name__ not in chosen:
            continue
        home = small_disk if scenario is full_disk else folder / scenario.__name__
        if scenario is full_disk and not home.is_mount():
            continue
        here = Scenario(folder, home)
        scenario(here)
        seen[scenario.__name__] = here.seen
    print(json.dumps(seen))


if __name__ == "__main__":
    main()
