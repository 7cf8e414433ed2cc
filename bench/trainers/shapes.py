"""Models with random weights, and blocks of random tokens: speed does not ask what they say."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM, GPT2Config, LlamaConfig

from lmft.bases import Base, inspect_base
from lmft.dataset.blocks import Blocks
from lmft.paths import EMBEDDED_BASE

SEED = 7
RANK, ALPHA = 16, 32


@dataclass(frozen=True)
class Case:
    """What all contestants train: a base, in a format, on blocks of one size."""

    shape: str
    base: Base
    nf4: bool
    dtype: str
    block_tokens: int
    blocks_per_step: int

    @property
    def tokens_per_step(self) -> int:
        return self.block_tokens * self.blocks_per_step


@dataclass(frozen=True)
class Measured:
    """Seconds of each step after the first; peak GPU bytes, 0 on a CPU."""

    step_seconds: list[float]
    tokens_per_step: int
    peak_bytes: int = 0

    @property
    def tokens_per_second(self) -> float:
        return self.tokens_per_step * len(self.step_seconds) / sum(self.step_seconds)


def gpt2_10m() -> GPT2Config:
    """10M parameters, everything else as GPT-2 is published: dropout 0.1, gelu_new."""
    return GPT2Config(vocab_size=8192, n_embd=320, n_layer=6, n_head=5)


def gpt2_xl() -> GPT2Config:
    return GPT2Config(n_embd=1600, n_layer=48, n_head=25)


def llama_8b() -> LlamaConfig:
    """Llama 3 8B's shape."""
    return LlamaConfig(
        vocab_size=128_256,
        hidden_size=4096,
        intermediate_size=14_336,
        num_hidden_layers=32,
        num_attention_heads=32,
        num_key_value_heads=8,
        max_position_embeddings=8192,
        rope_theta=500_000.0,
    )


def random_base(config: Any, directory: Path) -> Base:
    """A base directory of that shape, in bf16, with the embedded base's tokenizer."""
    config.bos_token_id = config.eos_token_id = 0
    torch.manual_seed(SEED)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with torch.device(device):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    model.save_pretrained(directory, safe_serialization=True)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(EMBEDDED_BASE / name, directory)
    return inspect_base(directory, directory.name, directory.name)


def random_blocks(case: Case, n_steps: int, vocabulary: int) -> Blocks:
    shape = (n_steps * case.blocks_per_step, case.block_tokens)
    ids_NT = np.random.default_rng(SEED).integers(1, vocabulary, shape, dtype=np.int32)
    return Blocks(ids_NT, ids_NT.copy(), np.zeros(shape, dtype=np.int32))
