"""README.md of an adapter: the model card a person reads first."""

from __future__ import annotations

from lmft.bases import Base
from lmft.corpus.info import CorpusInfo
from lmft.ids import AdapterId
from lmft.registry.adapters import Training
from lmft.report.plain import rounded, size
from lmft.train.recipe import Recipe
from lmft.train.servable import in_words, service_of


def model_card(
    adapter_id: AdapterId,
    base: Base,
    recipe: Recipe,
    corpus: CorpusInfo,
    training: Training,
    remark: str = "",
) -> str:
    """Args: remark: `WHAT: TEXT`, of what is not a whole run."""
    over = f"{base.name} ({base.architecture}, {base.n_parameters / 1e6:.1f}M parameters)"
    change = training.heldout_after / training.heldout_before - 1
    began = recipe.continue_from or "a fresh LoRA"
    measured = "" if recipe.method == "sft" else " of the chosen answers"
    what, _, said = remark.partition(": ")
    row = f"\n| {what} | {said} |" if remark else ""
    return f"""# {adapter_id}

A LoRA adapter (rank {recipe.lora.rank}, all linear layers) that teaches {base.name} \
a {recipe.format.kind} format, trained with lmft.

| | |
|---|---|
| base | {over} |
| served by | {in_words(service_of(base.architecture, base.name))} |
| method | {recipe.method}, from {began} |
| corpus | {corpus.summary()} |
| training | {training.steps} steps, {training.tokens:,} tokens, {training.seconds:.0f} s \
on {training.device}{_cost(training)} |{row}
| held-out loss{measured} | {training.heldout_before:.4f} before, \
{training.heldout_after:.4f} after, in nats per byte ({change:+.1%}) |

`lmft_format.json` says how prompts are rendered and where replies stop; `recipe.yaml` runs the
job again; `probe.json` is what a server must reproduce before it may serve these weights;
`samples.jsonl` shows what it writes. The licence of the adapter follows its corpus and its base.
"""


def _cost(training: Training) -> str:
    """Memory, energy and CO2, of what is known of them."""
    said = ""
    if training.peak_memory_bytes:
        said += f", peak {size(training.peak_memory_bytes)}"
    if training.energy_kwh is not None:
        said += f", {rounded(training.energy_kwh)} kWh ({training.energy_source})"
    if training.co2_kg is not None:
        said += f", {rounded(training.co2_kg * 1000)} g CO2e"
    return said
