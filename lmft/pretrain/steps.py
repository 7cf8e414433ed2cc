"""How a step is made: which tokens, which optimizer, how large; and the step itself."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import cross_entropy

from lmft.errors import InputError
from lmft.machine import mixes_bf16
from lmft.pretrain.muon import Muon
from lmft.pretrain.recipe import Training

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
_BETAS = (0.9, 0.95)


def rate_share(step: int, steps: int, training: Training) -> float:
    """Of the full learning rate, at `step` of `steps`: up, constant, down to zero."""
    warmup = max(1, round(training.warmup_share * steps))
    decay = max(1, round(training.decay_share * steps))
    return min(1.0, (step + 1) / warmup, (steps - step) / decay)


class Optimizers:
    """Muon for the blocks' matrices; AdamW for embeddings, biases and norms."""

    def __init__(self, model: Any, training: Training) -> None:
        matrices: list[torch.nn.Parameter] = []
        rest: list[torch.nn.Parameter] = []
        for name, parameter in model.named_parameters():
            in_block = ".h." in name and parameter.ndim == 2
            (matrices if in_block else rest).append(parameter)
        rate = training.learning_rate
        self._rate = rate
        self._all = (
            Muon(matrices, lr=rate, weight_decay=training.weight_decay),
            torch.optim.AdamW(rest, lr=rate, betas=_BETAS, weight_decay=0.0),
        )

    def step(self, share: float) -> None:
        """Update by the gradients, at that share of the full learning rate, and drop them."""
        for optimizer in self._all:
            for group in optimizer.param_groups:
                group["lr"] = self._rate * share
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    def state(self) -> dict[str, torch.Tensor]:
        """Everything as tensors, by name."""
        return {
            f"{which}.{number}.{name}": torch.as_tensor(value)
            for which, optimizer in enumerate(self._all)
            for number, state in optimizer.state_dict()["state"].items()
            for name, value in state.items()
        }

    def load_state(self, tensors: dict[str, torch.Tensor]) -> None:
        for which, optimizer in enumerate(self._all):
            state: dict[int, dict[str, torch.Tensor]] = {}
            for key, tensor in tensors.items():
                owner, number, name = key.split(".")
                if int(owner) == which:
                    state.setdefault(int(number), {})[name] = tensor
            optimizer.load_state_dict(
                {"state": state, "param_groups": optimizer.state_dict()["param_groups"]}
            )


class Batches:
    """Blocks of consecutive tokens in an order that only seed, epoch and step decide.

    Every epoch cuts the text at other places, so that no token is always the first of a block.

    Args:
        block_tokens: T of a block; a step has `step_tokens` / T, `micro_tokens` / T at once.

    Raises:
        InputError: the text is shorter than two blocks.
    """

    def __init__(
        self,
        tokens_N: NDArray[Any],
        block_tokens: int,
        step_tokens: int,
        micro_tokens: int,
        seed: int,
    ) -> None:
        # One less than there are, since an epoch begins within the first.
        self._per_epoch = (len(tokens_N) - 1) // block_tokens - 1
        if self._per_epoch < 1:
            raise InputError(
                f"The text has {len(tokens_N):,} tokens; blocks of {block_tokens:,} need "
                f"{2 * block_tokens + 1:,}.",
                "Give more text, or lower shape.positions and training.block_tokens.",
            )
        self._tokens_N, self._length, self._seed = tokens_N, block_tokens, seed
        self.n_blocks = min(max(1, step_tokens // block_tokens), self._per_epoch)
        self._micro = max(1, micro_tokens // block_tokens)

    def step(self, step: int) -> Iterator[torch.Tensor]:
        """Micro-batches (B, T + 1) of that step."""
        epoch, place = divmod(step, self._per_epoch // self.n_blocks)
        random = np.random.default_rng((self._seed, self._length, epoch))
        offset = int(random.integers(self._length))
        order = random.permutation(self._per_epoch)
        chosen = order[place * self.n_blocks : (place + 1) * self.n_blocks]
        starts = chosen * self._length + offset
        for first in range(0, self.n_blocks, self._micro):
            rows = [
                self._tokens_N[at : at + self._length + 1]
                for at in starts[first : first + self._micro]
            ]
            yield torch.from_numpy(np.stack(rows).astype(np.int64))


def loss_of(model: Any, *, compiled: bool) -> Loss:
    """The mean loss, in nats, of tokens (B, T) and what follows each of them.

    Args:
        compiled: on a CPU with bf16 3% to 48% faster, after the better part of a minute.
    """

    device = next(model.parameters()).device.type
    mixes = mixes_bf16(device)

    def loss(inputs_BT: torch.Tensor, targets_BT: torch.Tensor) -> torch.Tensor:
        with torch.autocast(device, torch.bfloat16, enabled=mixes):
            logits_BTV = model(inputs_BT, use_cache=False).logits
        return cross_entropy(logits_BTV.flatten(0, 1).float(), targets_BT.flatten())

    if not compiled:
        return loss
    # Without a compiler it runs as it is written.
    torch._dynamo.config.suppress_errors = True
    faster: Loss = torch.compile(loss, dynamic=False)
    return faster


def train_step(
    model: Any, loss: Loss, batches: Batches, step: int, optimizers: Optimizers, share: float
) -> float:
    """One optimizer step; the mean loss of its tokens, in nats.

    Where loss or gradients are no numbers, nothing is updated and the loss is NaN.
    """
    device, total = next(model.parameters()).device, 0.0
    for tokens_BT in batches.step(step):
        tokens_BT = tokens_BT.to(device)
        found = loss(tokens_BT[:, :-1].contiguous(), tokens_BT[:, 1:].contiguous())
        weighed = found * (len(tokens_BT) / batches.n_blocks)
        torch.autograd.backward(weighed)
        total += weighed.item()
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    if not torch.isfinite(norm):
        return math.nan
    optimizers.step(share)
    return total
