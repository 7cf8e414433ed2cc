"""The base that is served: what the quantised weights really are, written once.

An adapter learnt over NF4 weights corrects *their* errors. Served over the original weights
it would correct errors that are not there, so the dequantised weights are what vLLM loads.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM
from transformers.pytorch_utils import Conv1D

from lmft import paths
from lmft.bases import EXTRAS_FILE, Base
from lmft.train import processes
from lmft.train.model import compute_dtype, four_bit_modules, load_base
from lmft.train.planning.plan import Plan

VARIANT_FILE = "lmft_variant.json"
# What the gateway and vLLM need beside the weights.
SIDE_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    EXTRAS_FILE,
)


def variant_name(base: Base, plan: Plan, serve_base: str) -> str:
    """The directory's name under `bases/`: model, revision (as hash), quantization, type."""
    if plan.quantization == "none" or serve_base == "original":
        return f"{base.alias}-{base.hash[:8]}-original"
    return f"{base.alias}-{base.hash[:8]}-{plan.quantization}-{plan.compute_dtype}"


def variant_path(name: str) -> Path:
    return paths.bases_dir() / name


def export_variant(base: Base, plan: Plan, model: Any, name: str) -> Path:
    """Write the served form of `base` once; later calls find it there.

    Args:
        model: the loaded (perhaps 4-bit) base, with or without a LoRA on it.
        name: from `variant_name`.
    """
    target = variant_path(name)
    if target.is_dir():
        return target
    needed = base.n_parameters * compute_dtype(plan).itemsize + 50_000_000
    paths.require_free(target.parent, needed, "The served base model")
    original = name.endswith("-original")
    dtype = "auto" if original else compute_dtype(plan)
    plain = AutoModelForCausalLM.from_pretrained(base.path, dtype=dtype)
    if not original:
        # What FSDP cut into shards is not all here.
        _copy_dequantised(load_base(base, plan) if processes.sharded() else model, plain)
    with paths.publishing(target) as staging:
        plain.save_pretrained(staging, safe_serialization=True)
        for file in SIDE_FILES:
            if (base.path / file).is_file():
                shutil.copyfile(base.path / file, staging / file)
        record = {"base": base.name, "alias": base.alias, "base_hash": base.hash, "variant": name}
        (staging / VARIANT_FILE).write_text(json.dumps(record, indent=2) + "\n")
    return target


@torch.no_grad()
def _copy_dequantised(model: Any, plain: Any) -> None:
    from bitsandbytes.functional import dequantize_4bit

    plain_modules = dict(plain.named_modules())
    for name, module in four_bit_modules(model).items():
        name = name.removeprefix("base_model.model.").removesuffix(".base_layer")
        weight = dequantize_4bit(module.weight.data, module.weight.quant_state).cpu()
        target = plain_modules[name]
        # GPT-2's Conv1D keeps its weight (in, out); transformers turned it to quantise it.
        target.weight.copy_(weight.T if isinstance(target, Conv1D) else weight)
