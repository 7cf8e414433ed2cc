"""Many adapters out of one: its weights scaled, each with a fresh reference and manifest.

The reference is computed as lmft.train.reference does it, by transformers and PEFT over the served
weights, so the server's probe proves each of them for itself. Only faster: the prompts go through
the model as one batch, and what the base says is the same for all.
"""

from __future__ import annotations

import json
import shutil
from typing import Any

import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from lmft import ids, paths
from lmft.registry.adapters import Adapter, get_adapter, write_manifest

WEIGHTS, REFERENCE = "adapter_model.safetensors", "probe.json"


class Copies:
    """Makes scaled copies of one adapter; holds base and adapter in memory."""

    def __init__(self, source: Adapter) -> None:
        self.source = source
        base = AutoModelForCausalLM.from_pretrained(
            paths.bases_dir() / source.manifest.variant, dtype=torch.float32
        )
        self._model: Any = PeftModel.from_pretrained(base, source.path).float().eval()
        self._parts = {
            name: parameter.detach().clone()
            for name, parameter in self._model.named_parameters()
            if "lora_B" in name
        }
        self._tensors = load_file(source.path / WEIGHTS)
        self._reference = json.loads((source.path / REFERENCE).read_text(encoding="utf-8"))

    def publish(self, suffix: str, factor: float) -> Adapter:
        """Publish the adapter with its effect scaled by `factor`.

        On one core: while others use the machine, threads wait for each other most of the time.
        """
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return self._publish(suffix, factor)
        finally:
            torch.set_num_threads(threads)

    def _publish(self, suffix: str, factor: float) -> Adapter:
        source = self.source.manifest
        adapter_id = ids.mint_adapter_id(self.source.id.base, suffix, self.source.id.org)
        with paths.publishing(paths.adapters_dir() / adapter_id.directory) as staging:
            for name in source.files:
                if name not in (WEIGHTS, REFERENCE):
                    shutil.copyfile(self.source.path / name, staging / name)
            save_file(
                {
                    key: tensor * factor if "lora_B" in key else tensor
                    for key, tensor in self._tensors.items()
                },
                staging / WEIGHTS,
            )
            (staging / REFERENCE).write_text(json.dumps(self._scaled(factor)) + "\n")
            write_manifest(
                staging,
                adapter_id=adapter_id,
                base=source.base,
                base_hash=source.base_hash,
                variant=source.variant,
                quantization=source.quantization,
                rank=source.rank,
                corpus_hash=source.corpus_hash,
                training=source.training,
                method=source.method,
                parent=str(self.source.id),
            )
        return get_adapter(str(adapter_id))

    @torch.inference_mode()
    def _scaled(self, factor: float) -> dict[str, Any]:
        for name, parameter in self._model.named_parameters():
            if name in self._parts:
                parameter.copy_(self._parts[name] * factor)
        prompts = self._reference["prompts"]
        ids_PT = torch.tensor([prompt["token_ids"] for prompt in prompts])
        seen = self._model(input_ids=ids_PT, use_cache=True)
        logprobs = seen.logits[:, :-1].float().log_softmax(-1)
        picked = logprobs.gather(-1, ids_PT[:, 1:, None]).squeeze(-1)
        tokens, gaps = self._greedy(seen, len(prompts[0]["greedy_tokens"]))
        return self._reference | {
            "prompts": [
                prompt
                | {
                    "adapter_logprobs": [round(value, 6) for value in picked[row].tolist()],
                    "greedy_tokens": tokens[row],
                    "greedy_gaps": gaps[row],
                }
                for row, prompt in enumerate(prompts)
            ]
        }

    def _greedy(self, seen: Any, n: int) -> tuple[list[list[int]], list[list[float]]]:
        """Go on from what the model has `seen`, over its cache."""
        tokens, gaps = [], []
        for _ in range(n):
            best = seen.logits[:, -1].float().log_softmax(-1).topk(2)
            tokens.append(best.indices[:, 0])
            gaps.append(best.values[:, 0] - best.values[:, 1])
            seen = self._model(
                input_ids=best.indices[:, :1], past_key_values=seen.past_key_values, use_cache=True
            )
        rounded = [[round(value, 6) for value in row] for row in torch.stack(gaps, 1).tolist()]
        return torch.stack(tokens, 1).tolist(), rounded
