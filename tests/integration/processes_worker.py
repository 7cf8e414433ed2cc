"""One process of a training run over a tiny base; started by test_processes.py.

usage: processes_worker.py train BASE OUT WAY...
       processes_worker.py lmft ARGUMENT...

WAY is `one`, `ddp` or `fsdp`. The main process writes OUT/WAY.json: what was logged at each
step, the adapter that came out, and the share of the model's bytes that it held. `lmft` is the
real command, in shards also where accelerate would not.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from accelerate.state import AcceleratorState, DistributedType, PartialState
from torch.distributed.tensor import DTensor
from transformers import TrainerCallback

import lmft.cli
from lmft.bases import inspect_base
from lmft.dataset.blocks import IGNORED, Blocks
from lmft.train import processes
from lmft.train.environment import prepare_libraries
from lmft.train.model import load_trainable
from lmft.train.planning.plan import Plan
from lmft.train.recipe import Lora, Recipe, Training
from lmft.train.trainer import make_trainer

STEPS, BATCH, LENGTH = 6, 8, 32
# What `accelerate launch --use_fsdp --fsdp_version 2` sets.
FSDP = {
    "ACCELERATE_USE_FSDP": "true",
    "FSDP_VERSION": "2",
    "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP",
    "FSDP_CPU_RAM_EFFICIENT_LOADING": "true",
}


class Log(TrainerCallback):
    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []

    def on_log(self, args: Any, state: Any, control: Any, logs: Any, **_: Any) -> None:
        if "loss" in logs:
            self.rows.append({key: float(logs[key]) for key in ("loss", "grad_norm")})


def some_blocks() -> Blocks:
    """Ten blocks; some learn all of their tokens, some few, and some hold several segments."""
    numbers = np.random.default_rng(5)
    ids = numbers.integers(1, 8000, (10, LENGTH))
    labels = ids.copy()
    labels[:, 0] = IGNORED
    for row, n_ignored in enumerate((0, 30, 3, 27, 12, 0, 31, 5, 22, 17)):
        labels[row, :n_ignored] = IGNORED
    segments = np.zeros(ids.shape, dtype=np.int32)
    segments[2::3, 9:] = 1
    segments[2::3, 20:] = 2
    return Blocks(ids, labels, segments)


def train(base: Path, way: str) -> dict[str, Any]:
    """One process: 4 passes over 2 blocks a step. DDP: 2 over 2. FSDP: 4 over 1, checkpointed."""
    micro = 1 if way == "fsdp" else 2
    plan = Plan(
        "cpu", "none", "float32", LENGTH, BATCH, STEPS, (),
        micro_blocks=micro, accumulation=BATCH // (micro * processes.count()),
        activation_checkpointing=way == "fsdp",
    )  # fmt: skip
    recipe = Recipe(name="x", data="x", training=Training(learning_rate=1e-2))
    model = load_trainable(inspect_base(base, "tiny", "tiny"), plan, Lora(rank=4), seed=1)
    log = Log()
    with tempfile.TemporaryDirectory() as scratch:
        trainer = make_trainer(model, some_blocks(), recipe, plan, Path(scratch), [log])
        trainer.train()
    adapter = processes.whole_adapter(trainer.model)
    held = sum(
        (one.to_local() if isinstance(one, DTensor) else one).nbytes
        for one in trainer.model.parameters()
    )
    return {
        "rows": log.rows,
        "adapter": {name: value.flatten().tolist() for name, value in adapter.items()},
        "held": held / sum(one.nbytes for one in trainer.model.parameters()),
    }


def shard_on_cpu() -> None:
    """Do as accelerate launch does, and pass as GPUs: accelerate shards on these alone.

    Everything that it then calls, in torch, works over gloo as well.
    """
    os.environ.update(FSDP)
    known = AcceleratorState.__init__

    def init(self: AcceleratorState, *args: Any, **kwargs: Any) -> None:
        PartialState().distributed_type = DistributedType.MULTI_GPU
        known(self, *args, **kwargs)

    AcceleratorState.__init__ = init


def main() -> None:
    command, *arguments = sys.argv[1:]
    if command == "lmft":
        shard_on_cpu()
        sys.argv[1:] = arguments
        lmft.cli.main()
        return
    base, out, *ways = arguments
    prepare_libraries()
    for way in ways:
        if way == "fsdp":
            shard_on_cpu()
        result = train(Path(base), way)
        if processes.is_main():
            (Path(out) / f"{way}.json").write_text(json.dumps(result))
    processes.leave()


if __name__ == "__main__":
    main()
