"""The base in 4-bit with a LoRA on it."""

from __future__ import annotations

from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoConfig, AutoModelForCausalLM, BitsAndBytesConfig

from lmft.bases import Base
from lmft.train.plan import Plan
from lmft.train.recipe import Lora

_DROPOUT_KEYS = (
    "attn_pdrop",
    "embd_pdrop",
    "resid_pdrop",
    "attention_dropout",
    "hidden_dropout",
    "dropout",
)


def compute_dtype(plan: Plan) -> torch.dtype:
    dtype: torch.dtype = getattr(torch, plan.compute_dtype)
    return dtype


def load_base(base: Base, plan: Plan) -> Any:
    """The base, frozen, on the plan's device: NF4 linears, everything else in the compute type.

    Dropout is off (a frozen base needs none) and GPT-2's eager gelu is replaced by the fused
    one of the same formula.
    """
    config = AutoConfig.from_pretrained(base.path)
    for key in _DROPOUT_KEYS:
        if hasattr(config, key):
            setattr(config, key, 0.0)
    if getattr(config, "activation_function", None) == "gelu_new":
        config.activation_function = "gelu_pytorch_tanh"
    quantization = None
    if plan.quantization == "nf4":
        quantization = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_compute_dtype=compute_dtype(plan),
            bnb_4bit_use_double_quant=False,
        )
    model = AutoModelForCausalLM.from_pretrained(
        base.path,
        config=config,
        quantization_config=quantization,
        # bitsandbytes dequantises into the type of the activations; the served variant is
        # written in that type too, so that both multiply the very same numbers.
        dtype=compute_dtype(plan),
        device_map={"": plan.device} if plan.device == "cuda" else None,
    )
    disable_cpu_repacking(model)
    model.requires_grad_(False)
    return model


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
    """A LoRA on every linear layer of the blocks; the masters are fp32."""
    torch.manual_seed(seed)
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    peft_model = get_peft_model(model, config)
    restore_fp32_masters(peft_model)
    return peft_model


def restore_fp32_masters(model: Any) -> None:
    """TRL casts the LoRA of a quantised base to bf16, where small updates round away."""
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
