"""The parity probe: is the adapter that vLLM serves the one that was trained?

The reference was written at training time (lmft.train.reference). Three questions, after
docs/decisions/0003-parity.md:

1. Teacher-forced: the mean difference of log-probabilities to the reference is at most a
   tenth of the mean difference between adapter and base.
2. Greedy: tokens differ only where the two best are closer than 0.1 nat.
3. Mixed: base, adapter and as many other adapters as there are slots, asked at the same time,
   each give what they give alone.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from safetensors.numpy import load_file, save_file

from lmft.errors import ProbeFailedError
from lmft.registry.adapters import Adapter
from serving.engine.client import EngineClient

TOLERATED_SHARE = 0.1
NEAR_TIE_NATS = 0.1
REFERENCE_FILE = "probe.json"


@dataclass(frozen=True)
class Answers:
    """One model's answers: `logprobs` (P, T-1) of the prompts' tokens, `greedy` (P, G) tokens."""

    logprobs: list[list[float]]
    greedy: list[list[int]]


@dataclass(frozen=True)
class ProbeResult:
    """All differences are mean absolute differences of log-probabilities, in nats per token."""

    prompts: int
    tokens: int
    adapter_effect: float
    adapter_difference: float
    base_difference: float
    mixed_difference: float
    greedy_agreement: float
    seconds: float

    def as_dict(self) -> dict[str, float]:
        return {key: round(value, 6) for key, value in asdict(self).items()}


async def probe(
    client: EngineClient, adapter: Adapter, loaded_as: str, base_alias: str, slots: int
) -> ProbeResult:
    """Ask all three questions of an adapter that is loaded as `loaded_as`.

    Args:
        slots: how many adapters the engine takes into one batch.

    Raises:
        ProbeFailedError: with the figure that failed. EngineError: vLLM did not answer.
    """
    started = time.monotonic()
    prompts = json.loads((adapter.path / REFERENCE_FILE).read_text(encoding="utf-8"))["prompts"]
    ids: list[list[int]] = [prompt["token_ids"] for prompt in prompts]
    n_greedy = len(prompts[0]["greedy_tokens"])
    reference_base = [prompt["base_logprobs"] for prompt in prompts]
    reference = [prompt["adapter_logprobs"] for prompt in prompts]
    gaps = [prompt["greedy_gaps"] for prompt in prompts]

    base = await _ask(client, base_alias, ids, n_greedy)
    alone = await _ask(client, loaded_as, ids, n_greedy)
    mixed = await _mixed_difference(
        client, adapter, (base_alias, base), (loaded_as, alone), ids, slots
    )
    result = ProbeResult(
        prompts=len(ids),
        tokens=sum(len(prompt) for prompt in ids),
        adapter_effect=_difference(reference, reference_base),
        adapter_difference=_difference(alone.logprobs, reference),
        base_difference=_difference(base.logprobs, reference_base),
        mixed_difference=mixed,
        greedy_agreement=_agreement(alone.greedy, [p["greedy_tokens"] for p in prompts], gaps),
        seconds=time.monotonic() - started,
    )
    _judge(str(adapter.id), result)
    return result


def _judge(name: str, result: ProbeResult) -> None:
    allowed = TOLERATED_SHARE * result.adapter_effect
    faults = [
        f"{label} differ by {value:.4f} nats"
        for label, value in (
            ("its log-probabilities", result.adapter_difference),
            ("the base's log-probabilities", result.base_difference),
            ("answers in a mixed batch", result.mixed_difference),
        )
        if not value <= allowed
    ]
    if result.greedy_agreement < 1:
        faults.append(f"only {result.greedy_agreement:.0%} of its greedy answers agree")
    if not result.adapter_effect > 0:
        faults = ["it changes nothing: it answers exactly as the base does"]
    if faults:
        raise ProbeFailedError(
            f"Adapter {name} is not served: in vLLM {'; '.join(faults)} "
            f"(allowed: {allowed:.4f} nats, a tenth of the adapter's effect).",
            "Train it again with this version of lmft; `lmft doctor` shows the versions.",
        )


async def _mixed_difference(
    client: EngineClient,
    adapter: Adapter,
    base: tuple[str, Answers],
    alone: tuple[str, Answers],
    ids: list[list[int]],
    slots: int,
) -> float:
    """The worst mean difference between answers in one batch and alone, over all models.

    Twins fill every slot that the adapter leaves: vLLM's own CPU operators give the base's rows
    the adapter of the last slot, which shows only when there is one.
    """
    n_greedy = len(alone[1].greedy[0])
    models = [base, alone]
    directory = Path(tempfile.mkdtemp(prefix="lmft-twins-"))
    try:
        for number in range(1, max(2, slots)):
            name = f"twin{number}-{alone[0]}"
            _write_twin(adapter.path, directory / name, factor=-1 / number)
            await client.load_adapter(name, directory / name)
            models.append((name, await _ask(client, name, ids, n_greedy)))
        together = await asyncio.gather(*(_ask(client, name, ids, n_greedy) for name, _ in models))
    finally:
        for name, _ in models[2:]:
            await client.unload_adapter(name)
        shutil.rmtree(directory, ignore_errors=True)
    return max(
        _difference(answers.logprobs, solo.logprobs)
        for answers, (_, solo) in zip(together, models, strict=True)
    )


def _write_twin(source: Path, target: Path, factor: float) -> None:
    """An adapter that surely answers differently: the same one, scaled and subtracted."""
    target.mkdir()
    tensors = load_file(source / "adapter_model.safetensors")
    save_file(
        {key: tensor * factor if "lora_B" in key else tensor for key, tensor in tensors.items()},
        target / "adapter_model.safetensors",
    )
    shutil.copyfile(source / "adapter_config.json", target / "adapter_config.json")


async def _ask(client: EngineClient, model: str, ids: list[list[int]], n_greedy: int) -> Answers:
    body: dict[str, Any] = {
        "model": model,
        "prompt": ids,
        "temperature": 0,
        "max_tokens": n_greedy,
        "ignore_eos": True,
        "prompt_logprobs": 0,
        "return_token_ids": True,
    }
    choices = (await client.json("/v1/completions", body))["choices"]
    choices.sort(key=lambda choice: choice["index"])
    logprobs = [
        [
            position[str(token)]["logprob"]
            for token, position in zip(prompt[1:], choice["prompt_logprobs"][1:], strict=True)
        ]
        for prompt, choice in zip(ids, choices, strict=True)
    ]
    return Answers(logprobs, [choice["token_ids"] for choice in choices])


def _difference(left: Sequence[Sequence[float]], right: Sequence[Sequence[float]]) -> float:
    pairs = list(zip(chain(*left), chain(*right), strict=True))
    return sum(abs(a - b) for a, b in pairs) / len(pairs)


def _agreement(
    answers: Sequence[Sequence[int]],
    reference: Sequence[Sequence[int]],
    gaps: Sequence[Sequence[float]],
) -> float:
    """The share of prompts whose tokens agree up to the first near-tie that fell the other way."""
    agreeing = 0
    for got, wanted, gap in zip(answers, reference, gaps, strict=True):
        first = next(
            (i for i, pair in enumerate(zip(got, wanted, strict=True)) if pair[0] != pair[1]), None
        )
        agreeing += first is None or gap[first] < NEAR_TIE_NATS
    return agreeing / len(answers)
