"""How much arithmetic a trained token takes, and how much the hardware could do.

Together they say the best possible speed (the roofline), and with a measured speed the share
of it that is reached: MFU, as Chowdhery et al. (PaLM, 2022) define it.
"""

from __future__ import annotations

from typing import Any

from lmft.train.planning.hardware import peak_flops
from lmft.train.planning.shape import Shape
from lmft.train.recipe import Lora

__all__ = ["flops_per_token", "peak_flops"]


def flops_per_token(config: Any, lora: Lora, block_tokens: int, checkpointing: bool) -> float:
    """FLOPs of forward and backward pass, a token, with frozen base and trained LoRA.

    A matrix product is 2 FLOPs a parameter. Frozen linear layers and head take it twice, for
    the output and for the gradient of the input; LoRA three times. Causal attention over T
    tokens is 2 T D forward and, as it computes its weights again, 5 T D backward, a layer.

    Args:
        config: of transformers, or config.json as a mapping, or a Shape.
        checkpointing: the blocks' forward pass is done twice.
    """
    shape = config if isinstance(config, Shape) else Shape.of(config)
    attended = shape.layers * block_tokens * shape.attention
    total = 4 * (shape.n_linear + shape.n_head) + 7 * attended + 6 * shape.n_lora(lora.rank)
    return float(total + (2 * shape.n_linear + 2 * attended if checkpointing else 0))
