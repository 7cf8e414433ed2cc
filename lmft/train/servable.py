"""How adapters of each architecture are served, as a table; asked before training starts, so
that no adapter is trained that cannot be served. docs/architectures.md holds it against probes."""

from __future__ import annotations

from typing import Literal

from lmft.errors import BaseModelError

Service = Literal["lora", "merged", "transformers"]

# By vLLM 0.32 with LoRA: its own classes, its Transformers backend, or our plugin for GPT-2 and
# GPT-J.
LORA_ARCHITECTURES = frozenset(
    {
        "GPT2LMHeadModel",
        "GPTJForCausalLM",
        "GPTNeoXForCausalLM",
        "OPTForCausalLM",
        "PhiForCausalLM",
        "Phi3ForCausalLM",
        "LlamaForCausalLM",
        "MistralForCausalLM",
        "Qwen2ForCausalLM",
        "Qwen3ForCausalLM",
        "GemmaForCausalLM",
        "Gemma2ForCausalLM",
    }
)
# vLLM runs these, and takes no LoRA for BLOOM and Falcon. For GPT-BigCode it takes one and leaves
# out what is for attention's inputs (`c_attn`), with a line in its log and no error.
MERGED_ARCHITECTURES = frozenset({"BloomForCausalLM", "FalconForCausalLM", "GPTBigCodeForCausalLM"})
# vLLM does not run these at all: serving.engine.local does.
LOCAL_ARCHITECTURES = frozenset({"GPTNeoForCausalLM"})
# vLLM allocates its slots at one of these ranks.
RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)

_TABLE: tuple[tuple[Service, frozenset[str]], ...] = (
    ("lora", LORA_ARCHITECTURES),
    ("merged", MERGED_ARCHITECTURES),
    ("transformers", LOCAL_ARCHITECTURES),
)
_IN_WORDS: dict[Service, str] = {
    "lora": "vLLM, as a LoRA over the base",
    "merged": "vLLM, merged into the base: a model of its own for each adapter",
    "transformers": "lmft's own transformers engine, as a LoRA over the base",
}


def service_of(architecture: str, base_name: str) -> Service:
    """How an adapter over a base of this architecture is served.

    Raises:
        BaseModelError: it could not be served.
    """
    for service, architectures in _TABLE:
        if architecture in architectures:
            return service
    works = ", ".join(sorted(frozenset().union(*(known for _, known in _TABLE))))
    raise BaseModelError(
        f"{base_name} is a {architecture}, which lmft does not serve.", f"Bases that work: {works}."
    )


def in_words(service: Service) -> str:
    """The end of a sentence: by what an adapter is served, and as what."""
    return _IN_WORDS[service]


def slot_rank(rank: int) -> int:
    """The smallest slot rank that an adapter of `rank` fits into."""
    return next(slot for slot in RANKS if slot >= rank)
