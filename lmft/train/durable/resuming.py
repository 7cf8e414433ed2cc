"""The Trainer's saving and loading over our checkpoints: no pickle is ever written or read.

The Trainer keeps its own machinery of resuming: it skips to the data position (a micro-batch
count that follows from the step, since `BlockOrder` depends on nothing but seed and epoch),
restores its state and calls its callbacks. What it asks of a checkpoint is answered here.

    adapter.safetensors    each trained parameter under its name, fp32
    optimizer.safetensors  KEY/NAME: Adam's moments and step of each of them
    random.safetensors     torch's generators of each process, numpy's
    state.json             position of the schedule, loss scaler, python's generator
    trainer_state.json     the Trainer's own
"""

from __future__ import annotations

import dataclasses
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch.distributed.tensor import DTensor, distribute_tensor
from transformers.trainer import TRAINER_STATE_NAME

from lmft.errors import DivergedError
from lmft.train.durable.checkpoint import Checkpoints

_ADAPTER, _OPTIMIZER, _RANDOM = "adapter.safetensors", "optimizer.safetensors", "random.safetensors"
_STATE = "state.json"

Tensors = dict[str, torch.Tensor]


class Resuming:
    """Mixin, to stand before transformers' Trainer; set `checkpoints` before training.

    Several processes hold shards of one state (FSDP 2) or copies of it (DDP): all take part in
    gathering it, the first writes, all read.
    """

    checkpoints: Checkpoints

    def _save_checkpoint(self: Any, model: Any, trial: Any) -> None:
        adapter = {name: _whole(value) for name, value in self._trained()}
        moments = {
            f"{key}/{name}": _whole(value)
            for name, parameter in self._trained()
            for key, value in self._inner_optimizer().state.get(parameter, {}).items()
        }
        generators, words = self._random_state()
        if self.args.should_save:
            _require_finite({**adapter, **moments}, self.state.global_step)
            state = {
                "schedule": self.lr_scheduler.last_epoch,
                "scaler": self.accelerator.scaler.state_dict() if self.accelerator.scaler else None,
                **words,
            }
            # Every step's log, which the Trainer carries along, stands in metrics.jsonl already.
            trainer_state = dataclasses.replace(self.state, log_history=[])

            def fill(directory: Path) -> None:
                save_file(adapter, directory / _ADAPTER)
                save_file(moments, directory / _OPTIMIZER)
                save_file(generators, directory / _RANDOM)
                (directory / _STATE).write_text(json.dumps(state) + "\n", encoding="utf-8")
                trainer_state.save_to_json(str(directory / TRAINER_STATE_NAME))

            self.checkpoints.write(self.state.global_step, fill)
        # Nobody goes on before it is there.
        self.accelerator.wait_for_everyone()

    @torch.no_grad()
    def _load_from_checkpoint(self: Any, resume_from_checkpoint: str, model: Any = None) -> None:
        stored = load_file(Path(resume_from_checkpoint) / _ADAPTER)
        for name, parameter in self._trained():
            parameter.copy_(_like(stored[name], parameter))

    def _load_optimizer_and_scheduler(self: Any, checkpoint: str | None) -> None:
        """Moments and position; the learning rate is what the recipe says now."""
        if checkpoint is None:
            return
        stored = load_file(Path(checkpoint) / _OPTIMIZER)
        per_name: dict[str, Tensors] = {}
        for full, value in stored.items():
            key, _, name = full.partition("/")
            per_name.setdefault(name, {})[key] = value
        optimizer = self._inner_optimizer()
        for name, parameter in self._trained():
            # `step` is a scalar beside the parameter; the moments are of its shape.
            optimizer.state[parameter] = {
                key: _like(value, parameter)
                if value.dim()
                else value.to(_step_device(optimizer, parameter))
                for key, value in per_name.get(name, {}).items()
            }
        position = _read_state(checkpoint)["schedule"]
        schedule = self.lr_scheduler
        schedule.last_epoch, schedule._step_count = position, position + 1
        rates = [
            rate * share(position)
            for rate, share in zip(schedule.base_lrs, schedule.lr_lambdas, strict=True)
        ]
        schedule._last_lr = rates
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate

    def _load_scaler(self: Any, checkpoint: str | None) -> None:
        state = _read_state(checkpoint)["scaler"] if checkpoint is not None else None
        if state and self.accelerator.scaler is not None:
            self.accelerator.scaler.load_state_dict(state)

    def _load_rng_state(self: Any, checkpoint: str | None) -> None:
        if checkpoint is None:
            return
        stored, state = load_file(Path(checkpoint) / _RANDOM), _read_state(checkpoint)
        version, words, gauss = state["python"]
        random.setstate((version, tuple(words), gauss))
        words_624 = stored["numpy"].numpy().astype(np.uint32)
        numpy_state = state["numpy"]
        numpy_state["state"]["key"] = words_624
        np.random.set_state(numpy_state)
        mine = self.args.process_index
        # Of processes that were not there then, nothing is known: they keep their seed.
        if mine < len(stored["torch"]):
            # Copies: torch 2.13 takes the state of a row in the midst of a tensor from elsewhere.
            torch.set_rng_state(stored["torch"][mine].clone())
            if "cuda" in stored and torch.cuda.is_available():
                torch.cuda.set_rng_state(stored["cuda"][mine].clone())

    def _random_state(self: Any) -> tuple[Tensors, dict[str, Any]]:
        """Generators of all processes as tensors (processes, bytes), and what is no tensor."""
        numpy_state = np.random.get_state(legacy=False)
        words_624 = numpy_state["state"].pop("key")
        states = {"torch": torch.get_rng_state()}
        if torch.cuda.is_available():
            states["cuda"] = torch.cuda.get_rng_state()
        gather, device = self.accelerator.gather, self.args.device
        tensors = {name: gather(one[None].to(device)).cpu() for name, one in states.items()}
        tensors["numpy"] = torch.from_numpy(words_624.astype(np.int64))
        return tensors, {
            "python": random.getstate(),
            "numpy": numpy_state,
        }

    def _trained(self: Any) -> list[tuple[str, torch.nn.Parameter]]:
        return [pair for pair in self.model.named_parameters() if pair[1].requires_grad]

    def _inner_optimizer(self: Any) -> torch.optim.Optimizer:
        """torch's own, inside accelerate's."""
        optimizer: torch.optim.Optimizer = getattr(self.optimizer, "optimizer", self.optimizer)
        return optimizer


def _whole(value: torch.Tensor) -> torch.Tensor:
    """Gathered from all shards, on the CPU."""
    value = value.full_tensor() if isinstance(value, DTensor) else value
    return value.detach().cpu().contiguous()


def _like(value: torch.Tensor, parameter: torch.Tensor) -> torch.Tensor:
    """On the device of `parameter`, cut into its shards if it is one."""
    value = value.to(parameter.device)
    if isinstance(parameter, DTensor):
        return distribute_tensor(value, parameter.device_mesh, parameter.placements)
    return value


def _step_device(optimizer: torch.optim.Optimizer, parameter: torch.Tensor) -> torch.device:
    """Fused Adam counts beside the parameter, the plain one on the CPU."""
    return parameter.device if optimizer.defaults.get("fused") else torch.device("cpu")


def _read_state(checkpoint: str) -> dict[str, Any]:
    state: dict[str, Any] = json.loads((Path(checkpoint) / _STATE).read_bytes())
    return state


def _require_finite(tensors: Tensors, step: int) -> None:
    """A checkpoint is one to go on from: between two looks at the loss it may have diverged."""
    for value in tensors.values():
        if not bool(torch.isfinite(value).all()):
            raise DivergedError(f"Training diverged: a weight is not finite at step {step}.")
