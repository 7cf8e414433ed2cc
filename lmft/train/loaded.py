"""The trainable model of a job, read once for all attempts that one process makes at it."""

from __future__ import annotations

from typing import Any

import torch

from lmft.train.continued import start_from
from lmft.train.model import load_trainable
from lmft.train.planning.plan import Plan
from lmft.train.prepare import Job


class LoadedModel:
    """After out of memory the base is still good; reading it again may fail in so little room."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._model: Any = None
        self._keeps_dequantised = False
        self._beginning: dict[str, torch.Tensor] = {}

    @torch.no_grad()
    def at_the_beginning(self, plan: Plan) -> Any:
        """The model as it is before the first step, for `plan`."""
        if self._model is None or self._keeps_dequantised != plan.keep_dequantised:
            self._load(plan)
        for name, parameter in self._model.named_parameters():
            if parameter.requires_grad:
                parameter.copy_(self._beginning[name])
                parameter.grad = None
        return self._model

    def _load(self, plan: Plan) -> None:
        # The old one goes first: there may be no room for two.
        self._model = None
        job = self._job
        self._model = load_trainable(job.base, plan, job.recipe.lora, job.recipe.training.seed)
        if job.parent is not None:
            start_from(self._model, job.parent.path)
        self._keeps_dequantised = plan.keep_dequantised
        self._beginning = {
            name: parameter.detach().clone()
            for name, parameter in self._model.named_parameters()
            if parameter.requires_grad
        }
