"""What a killed run goes on from: weights, the optimizers' state, the step.

Safetensors and JSON; a checkpoint appears by one rename.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from lmft import paths
from lmft.errors import MachineError
from lmft.pretrain.steps import Optimizers

_WEIGHTS, _OPTIMIZERS, _STATE = "model.safetensors", "optimizers.safetensors", "state.json"
_PREFIX = "step-"
# The one before stays, should the newest not be readable.
_KEPT = 2


@dataclass(frozen=True)
class Reached:
    """Attributes:
    step: so many are done, of `steps`. seconds: that they took.
    tokens: the key of the text's tokens, lmft.pretrain.data.
    """

    step: int
    steps: int
    seconds: float
    tokens: str


def save(directory: Path, model: Any, optimizers: Optimizers, reached: Reached) -> None:
    """Raises DiskFullError."""
    with paths.publishing(directory / f"{_PREFIX}{reached.step:08d}") as staging:
        weights = {name: one.detach().cpu() for name, one in model.named_parameters()}
        save_file(weights, staging / _WEIGHTS)
        save_file(
            {key: one.cpu() for key, one in optimizers.state().items()}, staging / _OPTIMIZERS
        )
        (staging / _STATE).write_text(json.dumps(asdict(reached)), encoding="utf-8")
    for older in sorted(directory.glob(f"{_PREFIX}*"))[:-_KEPT]:
        shutil.rmtree(older)


def load(directory: Path, model: Any, optimizers: Optimizers) -> Reached | None:
    """Put the newest checkpoint that can be read into model and optimizers, and remove those that
    are newer and damaged; None without any.

    Raises:
        MachineError: there are some, and none can be read.
    """
    found = sorted(directory.glob(f"{_PREFIX}*"), reverse=True)
    for place, one in enumerate(found):
        try:
            reached = Reached(**json.loads((one / _STATE).read_text(encoding="utf-8")))
            weights, states = load_file(one / _WEIGHTS), load_file(one / _OPTIMIZERS)
        except (SafetensorError, OSError, ValueError, TypeError):
            continue
        # Not strict: weights that are tied stand there once.
        model.load_state_dict(weights, strict=False)
        optimizers.load_state(states)
        # The run comes by their steps again.
        for damaged in found[:place]:
            shutil.rmtree(damaged)
        return reached
    if found:
        raise MachineError(
            f"No checkpoint in {directory} can be read.", "Remove them, and it begins again."
        )
    return None
