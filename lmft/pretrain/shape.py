"""The model that is trained: new, or a base that is gone on from. In float32 while it trains."""

from __future__ import annotations

import math
from typing import Any

import torch
from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel

from lmft.bases import Base
from lmft.pretrain.recipe import HEAD_SIZE, Shape

_STD = 0.02


def new_model(shape: Shape, vocabulary_size: int, seed: int) -> Any:
    """A GPT-2 with weights of its own, the projections into the residual stream scaled down with
    its depth (GPT-2's paper)."""
    torch.manual_seed(seed)
    config = GPT2Config(
        vocab_size=vocabulary_size,
        n_positions=shape.positions,
        n_embd=shape.width,
        n_layer=shape.layers,
        n_head=shape.width // HEAD_SIZE,
        activation_function="gelu_pytorch_tanh",
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=0,
        eos_token_id=0,
    )
    model = GPT2LMHeadModel(config)
    for name, parameter in model.named_parameters():
        if name.endswith("c_proj.weight"):
            torch.nn.init.normal_(parameter, std=_STD / math.sqrt(2 * shape.layers))
    return model


def model_from(base: Base) -> Any:
    """The base's weights, to go on from."""
    return AutoModelForCausalLM.from_pretrained(
        base.path, dtype=torch.float32, local_files_only=True, trust_remote_code=False
    )
