"""The base in 4-bit with a LoRA on it."""

from __future__ import annotations

from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, BitsAndBytesConfig
from transformers.activations import FastGELUActivation, NewGELUActivation
from transformers.models.bloom.modeling_bloom import BloomGelu
from transformers.pytorch_utils import Conv1D

from lmft.bases import Base
from lmft.errors import MachineError
from lmft.train import processes
from lmft.train.fast.compiling import compile_blocks
from lmft.train.fast.install import install
from lmft.train.planning.plan import Plan
from lmft.train.recipe import Lora

# Every name that the configs of causal LMs have for dropout; a probability each.
_DROPOUT_KEYS = (
    "activation_dropout",
    "attention_dropout",
    "attn_pdrop",
    "dropout",
    "embd_pdrop",
    "embed_dropout",
    "hidden_dropout",
    "layerdrop",
    "resid_dropout",
    "resid_pdrop",
)
# Where a config says how attention scores are capped (Gemma 2).
_SCORE_CAP = "attn_logit_softcapping"
# The tanh formula of gelu, written out as six to eight operations.
_EAGER_GELUS = (NewGELUActivation, FastGELUActivation, BloomGelu)


def compute_dtype(plan: Plan) -> torch.dtype:
    dtype: torch.dtype = getattr(torch, plan.compute_dtype)
    return dtype


def load_base(base: Base, plan: Plan) -> Any:
    """The base, frozen, on the plan's device: NF4 linears, everything else in the compute type.

    Dropout is off (a frozen base needs none) and eager gelus, such as GPT-2's, are replaced by
    the fused one of the same formula.
    """
    if plan.device == "cuda" and not torch.cuda.is_available():
        raise MachineError(
            "There is an NVIDIA GPU, but this torch cannot use it.",
            "Install torch's CUDA build (LMFT_STACK=gpu make setup), or train on the CPU: "
            "CUDA_VISIBLE_DEVICES= lmft train ...",
        )
    config = AutoConfig.from_pretrained(base.path)
    for key in _DROPOUT_KEYS:
        if hasattr(config, key):
            setattr(config, key, 0.0)
    quantization = None
    if plan.quantization == "nf4":
        quantization = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_compute_dtype=compute_dtype(plan),
            bnb_4bit_use_double_quant=False,
            # FSDP can shard only what looks like numbers.
            bnb_4bit_quant_storage=compute_dtype(plan) if processes.sharded() else torch.uint8,
        )
    model = AutoModelForCausalLM.from_pretrained(
        base.path,
        config=config,
        quantization_config=quantization,
        # bitsandbytes dequantises into the type of the activations; the served variant is
        # written in that type too, so that both multiply the very same numbers.
        dtype=compute_dtype(plan),
        device_map={"": processes.loading_device(plan.device)} if plan.device == "cuda" else None,
        attn_implementation=attention_of(config),
    )
    disable_cpu_repacking(model)
    _fuse_gelu(model)
    model.requires_grad_(False)
    return model


def attention_of(config: Any) -> str | None:
    """The implementation that answers as the model was made; None leaves it to transformers,
    whose other ones leave out a cap on attention scores."""
    return "eager" if getattr(config, _SCORE_CAP, None) is not None else None


def _fuse_gelu(model: Any) -> None:
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, _EAGER_GELUS):
                setattr(module, name, nn.GELU(approximate="tanh"))


def disable_cpu_repacking(model: Any) -> None:
    """Keep bitsandbytes from repacking 4-bit weights for inference.

    On a CPU with AVX512_BF16 one eval-mode forward of a Linear4bit rewrites its weights for a
    kernel that has no gradient, and training after an evaluation is silently wrong.
    """
    for module in four_bit_modules(model).values():
        module.support_avx512bf16_for_cpu = False


def four_bit_modules(model: Any) -> dict[str, Any]:
    import bitsandbytes

    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, bitsandbytes.nn.Linear4bit)
    }


def add_lora(model: Any, lora: Lora, seed: int) -> Any:
    """A LoRA on every linear layer of the blocks; the masters are fp32, whatever the base is.

    In 16 bits small updates of a master would round away.
    """
    torch.manual_seed(seed)
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
        # GPT-2's layers are stored transposed, unless they were quantised.
        fan_in_fan_out=any(isinstance(module, Conv1D) for module in model.modules()),
    )
    return get_peft_model(model, config, autocast_adapter_dtype=True)


def load_trainable(base: Base, plan: Plan, lora: Lora, seed: int) -> Any:
    """The base with a fresh LoRA and everything that makes it fast, ready for the trainer."""
    model = add_lora(load_base(base, plan), lora, seed)
    install(model, keep_dequantised=plan.keep_dequantised)
    if plan.compile:
        compile_blocks(model)
    return model
