"""Tiny random models of every architecture that lmft trains, as base directories.

Two to four layers of 64, heads of 32, the embedded tokenizer; the same weights for the same seed.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from lmft import paths
from lmft.bases import Base, inspect_base

VOCABULARY = 8192
CONTEXT = 128
# Shorter than a block of the tests, so that it is felt; Mistral's and Gemma 2's are longer ones.
LOCAL_WINDOW = 8

_EOS = 0
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")
_COMMON: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "bos_token_id": _EOS,
    "eos_token_id": _EOS,
    "pad_token_id": None,
}
_LLAMA: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 32,
    "max_position_embeddings": CONTEXT,
}
_OPT: dict[str, Any] = {
    "hidden_size": 64,
    "ffn_dim": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "max_position_embeddings": CONTEXT,
    "word_embed_proj_dim": 64,
}
_GEMMA2 = {**_LLAMA, "sliding_window": LOCAL_WINDOW, "query_pre_attn_scalar": 32}
_MISTRAL = {**_LLAMA, "sliding_window": CONTEXT}
_GPT2: dict[str, Any] = {"n_embd": 64, "n_layer": 2, "n_head": 2, "n_positions": CONTEXT}

# Name: model_type, what its config says beside the common keys. Where a published model has
# dropout or an activation of its own, it is left as it was published.
ARCHITECTURES: dict[str, tuple[str, dict[str, Any]]] = {
    "gpt2": ("gpt2", _GPT2),
    "gpt_neo": (
        "gpt_neo",
        {
            "hidden_size": 64,
            "num_layers": 4,
            "num_heads": 2,
            "intermediate_size": 96,
            "attention_types": [[["global", "local"], 2]],
            "window_size": LOCAL_WINDOW,
            "max_position_embeddings": CONTEXT,
            "embed_dropout": 0.1,
            "attention_dropout": 0.1,
            "resid_dropout": 0.1,
        },
    ),
    "gptj": ("gptj", {**_GPT2, "rotary_dim": 16, "n_inner": 96, "attn_pdrop": 0.1}),
    "gpt_neox": (
        "gpt_neox",
        {
            "hidden_size": 64,
            "intermediate_size": 96,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "max_position_embeddings": CONTEXT,
            "attention_dropout": 0.1,
            "hidden_dropout": 0.1,
        },
    ),
    "opt": ("opt", _OPT),
    # As opt-350m: narrower embeddings, and the layer norms after the sums.
    "opt_projected": ("opt", {**_OPT, "word_embed_proj_dim": 32, "do_layer_norm_before": False}),
    "bloom": (
        "bloom",
        {"hidden_size": 64, "n_layer": 2, "n_head": 2, "hidden_dropout": 0.1},
    ),
    # As falcon-7b: one head of keys for all, attention beside the MLP, which vLLM wants four times
    # as wide as the model.
    "falcon": (
        "falcon",
        {
            "hidden_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "ffn_hidden_size": 256,
            "max_position_embeddings": CONTEXT,
            "attention_dropout": 0.1,
            "hidden_dropout": 0.1,
        },
    ),
    "phi": (
        "phi",
        {
            "hidden_size": 64,
            "intermediate_size": 96,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "max_position_embeddings": CONTEXT,
            "embd_pdrop": 0.1,
            "resid_pdrop": 0.1,
        },
    ),
    "llama": ("llama", _LLAMA),
    "mistral": ("mistral", _MISTRAL),
    "mistral_short_window": ("mistral", {**_MISTRAL, "sliding_window": LOCAL_WINDOW}),
    "qwen3": ("qwen3", {**_LLAMA, "tie_word_embeddings": True}),
    "gemma": ("gemma", _LLAMA),
    # Beyond the eleven of the issue, but servable all the same.
    "gemma2": ("gemma2", _GEMMA2),
    "gpt_bigcode": ("gpt_bigcode", _GPT2),
    "phi3": ("phi3", {**_LLAMA, "num_key_value_heads": 2, "resid_pdrop": 0.1}),
    "qwen2": ("qwen2", _LLAMA),
}
# Their published tokenizers write a token before every text.
_WRITE_BOS = frozenset({"opt", "llama", "mistral", "gemma", "gemma2"})


def make_base(directory: Path, name: str, seed: int = 0) -> Base:
    """Write the architecture `name` of ARCHITECTURES to `directory` and look at it as lmft does.

    Everything is random, biases and norms too, and wide enough that each part is felt.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    model_type, settings = ARCHITECTURES[name]
    config = AutoConfig.for_model(model_type, **_COMMON, **settings)
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.08)
    model.save_pretrained(directory)
    for file in _TOKENIZER_FILES:
        shutil.copyfile(paths.EMBEDDED_BASE / file, directory / file)
    if model_type in _WRITE_BOS:
        _write_bos(directory / "tokenizer.json")
    return inspect_base(directory, name, alias=name.replace("_", "-"))


def _write_bos(file: Path) -> None:
    tree = json.loads(file.read_text(encoding="utf-8"))
    token = tree["added_tokens"][_EOS]["content"]
    special = {"SpecialToken": {"id": token, "type_id": 0}}
    tree["post_processor"]["single"].insert(0, special)
    tree["post_processor"]["special_tokens"] = {
        token: {"id": token, "ids": [_EOS], "tokens": [token]}
    }
    file.write_text(json.dumps(tree), encoding="utf-8")
