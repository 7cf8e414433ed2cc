"""What the adapter answers in transformers + PEFT over the weights that are served.

Written into the adapter's directory at training time, so that the server can prove parity
without torch: see serving.engine.probe for the other half.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import AutoConfig, AutoModelForCausalLM

from lmft.dataset.encode import Encoded
from lmft.registry.difference import mean_difference
from lmft.train import processes
from lmft.train.model import attention_of, compute_dtype
from lmft.train.planning.plan import Plan

FILE_NAME = "probe.json"
N_PROMPTS = 8
PROMPT_TOKENS = 64
GREEDY_TOKENS = 16
# Of the weights' bytes: they, the adapter, and the activations of one prompt.
_ROOM = 1.1


class Reference:
    """The served base, loaded once for all adapters whose answers are to be written down."""

    @torch.inference_mode()
    def __init__(self, variant: Path, plan: Plan) -> None:
        """Args: variant: directory of the served base."""
        self._plan = plan
        self._device = _roomy_device(variant, plan)
        config = AutoConfig.from_pretrained(variant)
        self._base = AutoModelForCausalLM.from_pretrained(
            variant,
            config=config,
            dtype=compute_dtype(plan),
            attn_implementation=attention_of(config),
        ).to(self._device)

    @torch.inference_mode()
    def write(self, adapter: Path, heldout: Sequence[Encoded]) -> None:
        """Score held-out prompts with the base and with the adapter, and write `probe.json`.

        For each prompt: its token ids, the teacher-forced log-probability (nats) of every token
        but the first under base and adapter, and the adapter's greedy continuation with the gap
        between the two best log-probabilities at each step. `rounding_nats` is what becomes of
        the adapter's log-probabilities, on average, where sums are rounded at other places.
        """
        peft = PeftModel.from_pretrained(self._base, adapter)
        model = peft.to(compute_dtype(self._plan)).eval()
        shown = [torch.tensor([ids], device=self._device) for ids in _prompts(heldout)]
        rounded_often = [_teacher_forced(model, ids_1T) for ids_1T in shown]
        _round_once(model)
        prompts: list[dict[str, Any]] = []
        for ids_1T in shown:
            with model.disable_adapter():
                base_logprobs = _teacher_forced(model, ids_1T)
            tokens, gaps = _greedy(model, ids_1T)
            prompts.append(
                {
                    "token_ids": ids_1T[0].tolist(),
                    "base_logprobs": base_logprobs,
                    "adapter_logprobs": _teacher_forced(model, ids_1T),
                    "greedy_tokens": tokens,
                    "greedy_gaps": gaps,
                }
            )
        self._base = peft.unload()
        rounding = mean_difference(rounded_often, [one["adapter_logprobs"] for one in prompts])
        reference = {
            "dtype": self._plan.compute_dtype,
            "rounding_nats": round(rounding, 6),
            "prompts": prompts,
        }
        (adapter / FILE_NAME).write_text(json.dumps(reference) + "\n", encoding="utf-8")


def _round_once(model: Any) -> None:
    """Have the adapter's products summed in float32 and rounded when they are added, as lmft's
    operators for vLLM do on a CPU; vLLM's own on a GPU round between the two products besides.
    Its weights stay as they were rounded."""
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            parameter.data = parameter.data.float()


def _roomy_device(variant: Path, plan: Plan) -> str:
    """Where the whole served base fits: after training in 4-bit that may not be the GPU."""
    device: str = processes.loading_device(plan.device)
    if plan.device == "cuda":
        torch.cuda.empty_cache()
        n_bytes = sum(file.stat().st_size for file in variant.glob("*.safetensors"))
        if _ROOM * n_bytes > torch.cuda.mem_get_info()[0]:
            return "cpu"
    return device


def _prompts(heldout: Sequence[Encoded]) -> list[list[int]]:
    """N_PROMPTS windows spread evenly over the held-out tokens; held-out text is never shown."""
    tokens = [token for document in heldout for token in document.ids.tolist()]
    length = min(PROMPT_TOKENS, max(8, len(tokens) // N_PROMPTS))
    last = max(0, len(tokens) - length)
    starts = sorted({last * index // (N_PROMPTS - 1) for index in range(N_PROMPTS)})
    return [tokens[start : start + length] for start in starts]


def _teacher_forced(model: Any, ids_1T: torch.Tensor) -> list[float]:
    logits = model(input_ids=ids_1T, use_cache=False).logits[0, :-1].float()
    picked = torch.log_softmax(logits, dim=-1).gather(-1, ids_1T[0, 1:, None]).squeeze(-1)
    return [round(value, 6) for value in picked.tolist()]


def _greedy(model: Any, ids_1T: torch.Tensor) -> tuple[list[int], list[float]]:
    tokens: list[int] = []
    gaps: list[float] = []
    for _ in range(GREEDY_TOKENS):
        logits = model(input_ids=ids_1T, use_cache=False).logits[0, -1].float()
        best = torch.topk(torch.log_softmax(logits, dim=-1), 2)
        tokens.append(int(best.indices[0]))
        gaps.append(round(float(best.values[0] - best.values[1]), 6))
        ids_1T = torch.cat([ids_1T, best.indices[None, :1]], dim=1)
    return tokens, gaps
