"""A bare loop over the same maths, for GPT-2: the limit that a trainer can reach.

No Trainer, no PEFT, no bitsandbytes: dense frozen weights (an NF4 base dequantised once), a LoRA
written out, cross-entropy over all logits, a fused AdamW.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.pytorch_utils import Conv1D

from bench.trainers.clock import StepClock
from bench.trainers.shapes import ALPHA, RANK, SEED, Case, Measured, random_blocks

_LEARNING_RATE = 1e-3


class _Lora(nn.Module):
    def __init__(self, base: Conv1D, nf4: bool) -> None:
        super().__init__()
        weight_IO = base.weight.data
        if nf4:
            weight_IO = _through_nf4(weight_IO)
        self.register_buffer("weight_IO", weight_IO)
        self.register_buffer("bias", base.bias.data)
        n_in, n_out = weight_IO.shape
        self.a_IR = nn.Parameter(torch.empty(n_in, RANK, dtype=torch.float32))
        self.b_RO = nn.Parameter(torch.zeros(RANK, n_out, dtype=torch.float32))
        nn.init.kaiming_uniform_(self.a_IR.T, a=math.sqrt(5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        low = (x @ self.a_IR.to(x.dtype)) @ self.b_RO.to(x.dtype)
        return x @ self.weight_IO + self.bias + low * (ALPHA / RANK)


def _through_nf4(weight: torch.Tensor) -> torch.Tensor:
    from bitsandbytes.functional import dequantize_4bit, quantize_4bit

    return dequantize_4bit(*quantize_4bit(weight.contiguous(), quant_type="nf4")).to(weight.dtype)


def measure(case: Case, n_steps: int, *, compiled: bool = False) -> Measured:
    clock = StepClock()
    torch.manual_seed(SEED)
    model = _model(case).to(clock.device).train()
    blocks = random_blocks(case, n_steps, model.config.vocab_size)
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=_LEARNING_RATE, weight_decay=0.0, fused=True)
    if compiled:
        model.compile(dynamic=False)
    ids_NT = torch.from_numpy(blocks.ids_NT).long()
    for ids_BT in ids_NT.to(clock.device).split(case.blocks_per_step):
        logits_BTV = model(input_ids=ids_BT, use_cache=False).logits[:, :-1]
        F.cross_entropy(logits_BTV.flatten(0, 1).float(), ids_BT[:, 1:].flatten()).backward()
        optimizer.step()
        optimizer.zero_grad()
        clock.step_ended()
    return clock.measured(case.tokens_per_step)


def _model(case: Case) -> Any:
    config = AutoConfig.from_pretrained(case.base.path)
    config.attn_pdrop = config.embd_pdrop = config.resid_pdrop = 0.0
    config.activation_function = "gelu_pytorch_tanh"
    model = AutoModelForCausalLM.from_pretrained(
        case.base.path, config=config, dtype=getattr(torch, case.dtype)
    )
    model.requires_grad_(False)
    for block in model.transformer.h:
        for parent in (block.attn, block.mlp):
            for name, child in list(parent.named_children()):
                if isinstance(child, Conv1D):
                    setattr(parent, name, _Lora(child, case.nf4))
    return model
