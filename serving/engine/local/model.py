"""The base with its adapters: one forward call for a prompt, one for a step of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel
from torch import Tensor
from transformers import AutoModelForCausalLM, DynamicCache

from lmft import machine

# PEFT's own name for a row without an adapter.
BASE = "__base__"
_FILES = ("adapter_model.safetensors", "adapter_config.json")


class BadAdapterError(Exception):
    """An adapter that cannot be loaded over this base; the message is for people."""


class Model:
    """Not safe for threads: everything is called from the runner's.

    Attributes:
        token_bytes: keys and values of one token.
    """

    def __init__(self, directory: Path, dtype: str) -> None:
        self.device = "cuda" if machine.gpus() and torch.cuda.is_available() else "cpu"
        self._dtype: torch.dtype = getattr(torch, dtype)
        loaded = AutoModelForCausalLM.from_pretrained(
            directory, dtype=self._dtype, local_files_only=True
        )
        self._base: Any = loaded.to(self.device).eval()
        self._adapted: Any = None
        self._number = 0
        self.vocabulary: int = self._base.config.get_text_config().vocab_size
        _, cache = self.prompt([0], BASE, all_logits=False)
        self.token_bytes = sum(2 * layer.keys[0].nbytes for layer in cache.layers)

    def free_bytes(self) -> int:
        """Memory that can still be had where the model is."""
        if self.device == "cuda":
            return int(torch.cuda.mem_get_info()[0])
        return machine.free_memory_bytes()

    def load(self, directory: Path) -> str:
        """Put an adapter beside those that are there; returns the name that a batch gives it.

        Raises:
            BadAdapterError: it is no LoRA in safetensors whose every tensor fits this base.
        """
        # Without them PEFT would look for a pickle, or on the hub.
        if missing := [name for name in _FILES if not (directory / name).is_file()]:
            raise BadAdapterError(f"The adapter has no {' and no '.join(missing)}.")
        self._number += 1
        name = f"adapter{self._number}"
        try:
            config = _plain(LoraConfig.from_pretrained(directory))
            if self._adapted is None:
                self._adapted = PeftModel(self._base, config, name, autocast_adapter_dtype=False)
            else:
                self._adapted.add_adapter(name, config, autocast_adapter_dtype=False)
            result = self._adapted.load_adapter(
                directory, name, autocast_adapter_dtype=False, torch_device=self.device
            )
            if odd := [*result.missing_keys, *result.unexpected_keys]:
                raise BadAdapterError(f"{len(odd)} tensors of the adapter are not this base's.")
        except BadAdapterError:
            self.unload(name)
            raise
        except Exception as error:
            # Whatever its files made the libraries say; a path may be in that.
            self.unload(name)
            kind = type(error).__name__
            raise BadAdapterError(f"The adapter cannot be read ({kind}).") from error
        self._adapted.to(self._dtype).eval()
        return name

    def has(self, name: str) -> bool:
        """Whether a row of this name can be answered."""
        return name == BASE or (self._adapted is not None and name in self._adapted.peft_config)

    def unload(self, name: str) -> None:
        """Forget an adapter; what is not there, or only half, is no error."""
        if name == BASE or not self.has(name):
            return
        if len(self._adapted.peft_config) > 1:
            self._adapted.delete_adapter(name)
            return
        self._base = self._adapted.unload()
        self._adapted = None

    def prompt(
        self, ids: Sequence[int], adapter: str, *, all_logits: bool
    ) -> tuple[Tensor, DynamicCache]:
        """One prompt alone: logits (T, V), or of its last token (1, V), and its keys and values."""
        cache = DynamicCache()
        logits_1TV = self._forward(
            torch.tensor([ids], device=self.device),
            [adapter],
            past_key_values=cache,
            logits_to_keep=0 if all_logits else 1,
        )
        return logits_1TV[0], cache

    def step(
        self,
        tokens: Sequence[int],
        lengths: Sequence[int],
        adapters: Sequence[str],
        cache: DynamicCache,
    ) -> Tensor:
        """One more token for each of B sequences: logits (B, V).

        Args:
            lengths: tokens of each sequence in `cache`, which is padded on the left.
        """
        lengths_B1 = torch.tensor(lengths, device=self.device)[:, None]
        n_kept = max(lengths)
        places_K = torch.arange(n_kept + 1, device=self.device)
        logits_B1V = self._forward(
            torch.tensor(tokens, device=self.device)[:, None],
            adapters,
            past_key_values=cache,
            attention_mask=(places_K >= n_kept - lengths_B1).long(),
            position_ids=lengths_B1,
        )
        return logits_B1V[:, -1]

    @torch.inference_mode()
    def _forward(self, ids_BT: Tensor, adapters: Sequence[str], **arguments: Any) -> Tensor:
        if self._adapted is None:
            answer = self._base(input_ids=ids_BT, use_cache=True, **arguments)
        else:
            names = list(adapters)
            answer = self._adapted(
                input_ids=ids_BT, adapter_names=names, use_cache=True, **arguments
            )
        logits: Tensor = answer.logits
        return logits.float()


def _plain(config: Any) -> LoraConfig:
    """What decides a plain LoRA's answer, and nothing that would change the base's layers."""
    if not isinstance(config, LoraConfig) or config.use_dora or config.modules_to_save:
        raise BadAdapterError("The adapter is not a plain LoRA.")
    return LoraConfig(
        task_type="CAUSAL_LM",
        inference_mode=True,
        r=config.r,
        lora_alpha=config.lora_alpha,
        target_modules=config.target_modules,
        fan_in_fan_out=config.fan_in_fan_out,
        use_rslora=config.use_rslora,
        rank_pattern=config.rank_pattern,
        alpha_pattern=config.alpha_pattern,
    )
