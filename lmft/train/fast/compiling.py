"""torch.compile, region by region: one transformer block is compiled and used for all."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


def compile_blocks(model: Any) -> int:
    """Compile the transformer blocks of `model` in place; returns how many.

    What cannot be compiled runs as it did: dynamo falls back by itself, op by op.
    """
    blocks = transformer_blocks(model)
    torch._dynamo.config.suppress_errors = True
    for block in blocks:
        block.compile(dynamic=False)
    return len(blocks)


def transformer_blocks(model: Any) -> list[nn.Module]:
    """The longest list of modules of one class: the layers."""
    lists = [
        list(module)
        for module in model.modules()
        if isinstance(module, nn.ModuleList) and len({type(one) for one in module}) == 1
    ]
    return max(lists, key=len, default=[])
