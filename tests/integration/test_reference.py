"""What the trainer writes down of an adapter's answers, over a real base and a real adapter."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lmft.registry.difference import mean_difference
from tests.tiny import make_base


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("bases") / "tiny"
    make_base(made, "gpt2")
    return made


def written(base: Path, adapter: Path, dtype: str) -> dict[str, Any]:
    """probe.json of an adapter with random weights."""
    import numpy as np
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    from lmft.dataset.encode import Encoded
    from lmft.train.planning.plan import Plan
    from lmft.train.reference import Reference

    torch.manual_seed(0)
    config = LoraConfig(
        r=4, target_modules=["c_attn"], fan_in_fan_out=True, init_lora_weights=False
    )
    peft = get_peft_model(AutoModelForCausalLM.from_pretrained(base), config)
    peft.save_pretrained(adapter)
    ids_T = np.random.default_rng(0).integers(1, 8000, 200).astype(np.int32)
    nothing = np.zeros(0, np.int64)
    text = Encoded(ids_T, np.ones(200, bool), nothing, nothing, n_bytes=800)
    plan = Plan(
        device="cpu",
        quantization="none",
        compute_dtype=dtype,
        block_tokens=64,
        batch_blocks=1,
        micro_blocks=1,
        steps=1,
        reasons=(),
    )
    Reference(base, plan).write(adapter, [text])
    told: dict[str, Any] = json.loads((adapter / "probe.json").read_text())
    return told


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_reference_says_what_rounding_does(base: Path, tmp_path: Path, dtype: str) -> None:
    told = written(base, tmp_path, dtype)
    assert told["dtype"] == dtype
    base_logprobs, adapter_logprobs = (
        [prompt[f"{whose}_logprobs"] for prompt in told["prompts"]] for whose in ("base", "adapter")
    )
    effect = mean_difference(base_logprobs, adapter_logprobs)
    assert effect > 0
    if dtype == "float32":
        assert told["rounding_nats"] == 0
    else:
        assert 0 < told["rounding_nats"] < effect
