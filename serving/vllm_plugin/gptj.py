"""GPT-J with LoRA: vLLM has the model, and refuses adapters for it only for want of a mark."""

from typing import ClassVar

from vllm.model_executor.models.gpt_j import GPTJForCausalLM
from vllm.model_executor.models.interfaces import SupportsLoRA


class GPTJLoRA(GPTJForCausalLM, SupportsLoRA):  # type: ignore[misc]  # vLLM is Any to mypy
    """vLLM's GPT-J, marked as able to take LoRA adapters on its linear layers."""

    # GPT-J's checkpoint and its adapters have q, k and v apart; vLLM holds them as one matrix.
    packed_modules_mapping: ClassVar[dict[str, list[str]]] = {
        "qkv_proj": ["q_proj", "k_proj", "v_proj"]
    }
