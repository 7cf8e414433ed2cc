"""What vLLM can serve with a LoRA, as a table; asked before training so that no adapter is
trained that cannot be served. tests/integration holds it against vLLM's own checks."""

from __future__ import annotations

from lmft.errors import BaseModelError

# vLLM 0.32 on its own, or through its Transformers backend, plus our plugin for GPT-2.
LORA_ARCHITECTURES = frozenset(
    {
        "GPT2LMHeadModel",
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
# vLLM allocates its slots at one of these ranks.
RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)


def require_servable(architecture: str, base_name: str) -> None:
    """Raise BaseModelError when an adapter for this architecture could not be served."""
    if architecture not in LORA_ARCHITECTURES:
        raise BaseModelError(
            f"{base_name} is a {architecture}; vLLM serves no LoRA adapter for that.",
            f"Bases that work: {', '.join(sorted(LORA_ARCHITECTURES))}.",
        )


def slot_rank(rank: int) -> int:
    """The smallest slot rank that an adapter of `rank` fits into."""
    return next(slot for slot in RANKS if slot >= rank)
