"""How adapters of each architecture are served, as a table; asked before training starts, so
that no adapter is trained that cannot be served. tests/integration holds it against vLLM."""

from __future__ import annotations

from lmft.errors import BaseModelError

# By vLLM 0.32 with LoRA: its own classes, its Transformers backend, or our plugin for GPT-2.
LORA_ARCHITECTURES = frozenset(
    {
        "GPT2LMHeadModel",
        "GPTBigCodeForCausalLM",
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
# Not yet: the trainer knows them, but vLLM's classes for them take no LoRA, or it has none.
# They need adapters merged into the base, or a server of our own.
COMING_ARCHITECTURES = frozenset(
    {
        "BloomForCausalLM",
        "FalconForCausalLM",
        "GPTJForCausalLM",
        "GPTNeoForCausalLM",
    }
)
# vLLM allocates its slots at one of these ranks.
RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)


def require_servable(architecture: str, base_name: str) -> None:
    """Raise BaseModelError when an adapter for this architecture could not be served."""
    if architecture in LORA_ARCHITECTURES:
        return
    works = f"Bases that work: {', '.join(sorted(LORA_ARCHITECTURES))}."
    coming = ", ".join(sorted(COMING_ARCHITECTURES))
    if architecture in COMING_ARCHITECTURES:
        raise BaseModelError(
            f"{base_name} is a {architecture}, which lmft can train but not serve yet: vLLM takes "
            "no LoRA adapter for it.",
            f"{works} Coming, by merging the adapter into the base: {coming}.",
        )
    raise BaseModelError(
        f"{base_name} is a {architecture}; vLLM serves no LoRA adapter for that.",
        f"{works} Coming: {coming}.",
    )


def slot_rank(rank: int) -> int:
    """The smallest slot rank that an adapter of `rank` fits into."""
    return next(slot for slot in RANKS if slot >= rank)
