"""What the adapter writes: fixed prompts, fixed seeds, unedited."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from lmft.dataset.encode import Encoded, Encoder
from lmft.format.contract import FormatContract

N_SAMPLES = 3
PROMPT_TOKENS = 48


@torch.inference_mode()
def sample(
    model: Any, heldout: Sequence[Encoded], encoder: Encoder, contract: FormatContract
) -> list[dict[str, Any]]:
    """Continue the beginnings of held-out documents; seeds 1, 2, 3."""
    device = next(model.parameters()).device
    samples = []
    for seed, document in enumerate(heldout[:N_SAMPLES], 1):
        ids = document.ids[:PROMPT_TOKENS].tolist()
        torch.manual_seed(seed)
        output = model.generate(
            input_ids=torch.tensor([ids], device=device),
            attention_mask=torch.ones(1, len(ids), dtype=torch.long, device=device),
            do_sample=contract.sampler.temperature > 0,
            temperature=contract.sampler.temperature,
            top_p=contract.sampler.top_p,
            repetition_penalty=contract.sampler.repetition_penalty,
            top_k=0,
            max_new_tokens=min(contract.sampler.max_tokens, contract.context_length - len(ids)),
            pad_token_id=encoder.eos_id,
        )
        text = encoder.decode(output[0, len(ids) :].tolist())
        samples.append({"seed": seed, "prompt": encoder.decode(ids), "text": text})
    return samples
