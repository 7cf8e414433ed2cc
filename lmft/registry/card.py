"""README.md of an adapter: the model card a person reads first."""

from __future__ import annotations

from lmft.bases import Base
from lmft.corpus.info import CorpusInfo
from lmft.ids import AdapterId
from lmft.registry.adapters import Training
from lmft.train.recipe import Recipe


def model_card(
    adapter_id: AdapterId, base: Base, recipe: Recipe, corpus: CorpusInfo, training: Training
) -> str:
    served = f"{base.name} ({base.architecture}, {base.n_parameters / 1e6:.1f}M parameters)"
    gain = 1 - training.heldout_after / training.heldout_before
    return f"""# {adapter_id}

A LoRA adapter (rank {recipe.lora.rank}, all linear layers) that teaches {base.name} \
a {recipe.format.kind} format, trained with lmft.

| | |
|---|---|
| base | {served} |
| corpus | {corpus.summary()} |
| training | {training.steps} steps, {training.tokens:,} tokens, {training.seconds:.0f} s \
on {training.device} |
| held-out loss | {training.heldout_before:.4f} before, {training.heldout_after:.4f} after, \
in nats per byte ({gain:.1%} less) |

`lmft_format.json` says how prompts are rendered and where replies stop; `recipe.yaml` runs the
job again; `probe.json` is what a server must reproduce before it may serve these weights;
`samples.jsonl` shows what it writes. The licence of the adapter follows its corpus and its base.
"""
