"""GPT-2 with LoRA: vLLM has the model, and refuses adapters for it only for want of a mark."""

from typing import ClassVar

from vllm.model_executor.models.gpt2 import GPT2LMHeadModel
from vllm.model_executor.models.interfaces import SupportsLoRA


class GPT2LoRA(GPT2LMHeadModel, SupportsLoRA):  # type: ignore[misc]  # vLLM is Any to mypy
    """vLLM's GPT-2, marked as able to take LoRA adapters on its linear layers."""

    # Exactly one entry. GPT-2's checkpoint has q, k and v in one matrix, and so has its adapter:
    # one name packed under itself makes vLLM choose QKVParallelLinearWithLoRA, which takes one
    # A (rank, in) and one B (3 * in, rank). Three entries would make it look for three adapters.
    packed_modules_mapping: ClassVar[dict[str, list[str]]] = {"c_attn": ["c_attn"]}
