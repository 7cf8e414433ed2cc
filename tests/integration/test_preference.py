"""DPO, KTO and continued training: TRL's losses on our tokens, over the embedded base in NF4."""

from __future__ import annotations

import json
import math

import pytest

from lmft.errors import NotFoundError, RecipeError
from lmft.registry.adapters import Adapter, get_adapter, verify
from lmft.train.prepare import prepare
from lmft.train.recipe import Recipe, find_recipe, load_recipe
from tests.conftest import Adapters, run_lmft
from tests.integration.test_training import in_process

SETUP = """
import json, math, sys, tempfile
from dataclasses import replace
from pathlib import Path
from lmft.train.environment import prepare_libraries
prepare_libraries()
import torch
from lmft import machine
# In float32 on every machine: formulas are compared, not roundings.
machine.cpu_has_bf16 = lambda: False
from lmft.dataset.pairs import PairSides, Pairs
from lmft.train.model import load_trainable
from lmft.train.preference.trainer import make_preference_trainer
from lmft.train.prepare import prepare
from lmft.train.recipe import find_recipe, load_recipe
SET = ("training.batch_blocks=8", "training.learning_rate=2e-3", "training.epochs=1")
def job_of(method, *overrides):
    job = prepare(load_recipe(find_recipe("prefer"), (f"method={method}", *SET, *overrides)))
    few = PairSides(Pairs(job.pairs.train.pairs[:8]), Pairs(job.pairs.heldout.pairs[:4]))
    return replace(job, pairs=few, plan=replace(job.plan, steps=8))
def trainer_of(job, model, **plan):
    scratch = Path(tempfile.mkdtemp())
    return make_preference_trainer(model, job, replace(job.plan, **plan), scratch, [])
def moved(model, spread=0.03):
    "The LoRA somewhere else than where training begins."
    torch.manual_seed(5)
    for each in model.parameters():
        if each.requires_grad:
            each.data += spread * torch.randn_like(each)
def plain(model, ids, seen, scored):
    "Summed log-probabilities from the logits of PEFT's own forward pass."
    logits = model(input_ids=ids, attention_mask=seen).logits[:, :-1].float()
    each = torch.log_softmax(logits, -1).gather(-1, ids[:, 1:, None]).squeeze(-1)
    return (each * scored[:, 1:]).sum(1)
def both(model, batch, prefix=""):
    inputs = [batch[prefix + key] for key in ("input_ids", "attention_mask", "completion_mask")]
    with torch.no_grad():
        policy = plain(model, *inputs)
        with model.disable_adapter():
            return policy, plain(model, *inputs)
"""


def test_dpo_is_the_formula_over_the_base_as_reference() -> None:
    result = in_process(
        SETUP
        + """
job = job_of("dpo", "preference.beta=0.1")
model = load_trainable(job.base, job.plan, job.recipe.lora, 1)
before = [each.detach().clone() for each in model.parameters() if each.requires_grad]
trainer = trainer_of(job, model)
masters = [each for each in model.parameters() if each.requires_grad]
same = all(a.dtype == torch.float32 and torch.equal(a, b) for a, b in zip(masters, before))
batch = trainer.data_collator([{"row": number} for number in range(4)])
start = float(trainer.compute_loss(model, dict(batch)))
moved(model)
policy, base = both(model, batch)
stored = torch.cat([batch["ref_chosen_logps"], batch["ref_rejected_logps"]])
gain = policy - base
want = -torch.nn.functional.logsigmoid(0.1 * (gain[:4] - gain[4:])).mean()
def gradients(trainer, sizes):
    model.zero_grad()
    rows = torch.arange(4).split(sizes)
    for numbers in rows:
        part = trainer.data_collator([{"row": int(number)} for number in numbers])
        (trainer.compute_loss(model, part) / len(rows)).backward()
    return torch.cat([each.grad.flatten() for each in masters])
whole, single = gradients(trainer, 4), gradients(trainer, 1)
again = trainer_of(job, model, micro_blocks=2, accumulation=4)
print(json.dumps({
    "adapters": list(model.peft_config), "masters_kept": same, "start": start,
    "loss": float(trainer.compute_loss(model, dict(batch))), "want": float(want),
    "reference_error": float((stored - base).abs().max()), "moved": float(gain.abs().max()),
    "micro_error": float((whole - single).norm() / whole.norm()),
    "remade_error": float((again.data_collator([{"row": 0}])["ref_chosen_logps"]
        - stored[0]).abs().max()),
    "micro": [again.args.per_device_train_batch_size, again.args.gradient_accumulation_steps],
}))
"""
    )
    assert result["adapters"] == ["default"]
    assert result["masters_kept"]
    assert result["start"] == pytest.approx(math.log(2), abs=1e-6)
    assert result["moved"] > 1
    assert result["reference_error"] < 2e-3
    assert result["loss"] == pytest.approx(result["want"], abs=1e-3)
    assert abs(result["want"] - math.log(2)) > 0.01
    assert result["micro_error"] < 1e-4
    # A trainer made in the middle of a run has the same reference.
    assert result["remade_error"] < 1e-3
    assert result["micro"] == [1, 4]


def test_kto_is_the_formula_with_strangers_and_lowers_its_loss() -> None:
    result = in_process(
        SETUP
        + """
job = job_of("kto", "preference.beta=0.3")
model = load_trainable(job.base, job.plan, job.recipe.lora, 1)
trainer = trainer_of(job, model)
batch = trainer.data_collator([{"row": number} for number in range(8)])
start = {name: each.detach().clone() for name, each in model.named_parameters()
    if each.requires_grad}
moved(model)
policy, base = both(model, batch)
stranger, stranger_base = both(model, batch, "KL_")
drift = (stranger - stranger_base).mean().clamp(min=0)
sign = torch.where(batch["label"], 1.0, -1.0)
want = (1 - torch.sigmoid(0.3 * sign * (policy - base - drift))).mean()
loss = float(trainer.compute_loss(model, dict(batch)))
for name, each in model.named_parameters():
    if name in start:
        each.data.copy_(start[name])
trainer.train()
losses = [line["loss"] for line in trainer.state.log_history if "loss" in line]
last = [line for line in trainer.state.log_history if "heldout_accuracy" in line]
prompts = batch["input_ids"] * (1 - batch["completion_mask"])
strangers = batch["KL_input_ids"] * (1 - batch["KL_completion_mask"])
width = min(prompts.shape[1], strangers.shape[1])
print(json.dumps({
    "loss": loss, "want": float(want), "first": losses[0], "last": losses[-1],
    "n_losses": len(losses), "labels": batch["label"].tolist(),
    "same_prompts": bool((prompts[:, :width] == strangers[:, :width]).all()),
    "n_measured": len(last), "accuracy": last[-1]["heldout_accuracy"],
    "odd": [key for key in last[-1] if key == "num_tokens"],
}))
"""
    )
    assert result["labels"] == [True, False] * 4
    assert result["same_prompts"]
    assert result["loss"] == pytest.approx(result["want"], abs=1e-3)
    assert abs(result["want"] - 0.5) > 0.005
    assert result["n_losses"] == 8
    assert result["first"] == pytest.approx(0.5, abs=1e-4)
    assert result["last"] < 0.45
    assert result["n_measured"] == 4
    assert result["accuracy"] >= 0.75
    assert not result["odd"]


@pytest.fixture(scope="module")
def chain(adapters: Adapters) -> tuple[Adapter, Adapter, Adapter]:
    """The innkeeper, trained on by SFT, and that by DPO; all with the real command."""
    made = [get_adapter(adapters.character)]
    for number, recipe in enumerate(("character", "prefer")):
        done = run_lmft(
            *("train", recipe, "--set", f"name=link{number}", "--set", "training.epochs=0.3"),
            *("--set", f"continue_from={made[-1].id.key}"),
            *("--set", "format.sampler.max_tokens=24"),
        )
        assert done.returncode == 0, done.stdout + done.stderr
        made.append(get_adapter(f"link{number}"))
    return made[0], made[1], made[2]


def test_continued_training_begins_with_the_parents_loss_and_leaves_it_as_it_was(
    chain: tuple[Adapter, Adapter, Adapter],
) -> None:
    first, second, third = chain
    before = second.manifest.training.heldout_before
    assert before == pytest.approx(first.manifest.training.heldout_after, abs=1e-5)
    assert second.manifest.training.heldout_after < before
    assert [one.manifest.parent for one in chain] == [None, str(first.id), str(second.id)]
    assert [one.manifest.method for one in chain] == ["sft", "sft", "dpo"]
    assert len({one.manifest.adapter_hash for one in chain}) == 3
    for one in chain:
        verify(one)
    assert str(second.id) in (third.path / "README.md").read_text()
    shown = run_lmft("models", "show", third.id.key).stdout
    assert f"dpo, continued from {second.id}" in shown
    assert load_recipe(third.path / "recipe.yaml").continue_from == str(second.id)


def test_a_preference_adapter_is_published_with_what_was_measured(
    chain: tuple[Adapter, Adapter, Adapter],
) -> None:
    lines = (chain[2].path / "metrics.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    measured = [row["heldout_accuracy"] for row in rows if "heldout_accuracy" in row]
    assert 0 <= measured[-1] <= 1
    assert all("rewards/margins" in row for row in rows if "loss" in row)
    probes = json.loads((chain[2].path / "probe.json").read_text())["prompts"]
    assert any(probe["base_logprobs"] != probe["adapter_logprobs"] for probe in probes)


def recipe(name: str, parent: object, *overrides: str) -> Recipe:
    return load_recipe(find_recipe(name), (f"continue_from={parent}", *overrides))


@pytest.mark.parametrize(
    ("name", "overrides", "says"),
    [
        ("character", ["lora.rank=8"], r"lora\.rank is 8, but ft:\S+ has 16"),
        ("character", ["lora.alpha=64"], r"lora\.alpha is 64, but ft:\S+ has 32"),
        ("character", ["quantization=none"], r"quantization is none, but ft:\S+ was trained over"),
        ("adventure", [], r"format\.kind is adventure, but ft:\S+ speaks chat"),
        ("character", ["format.speakers.user=Guest"], r"format\.speakers are not those of ft:"),
    ],
)
def test_what_cannot_go_on_is_refused(
    adapters: Adapters, name: str, overrides: list[str], says: str
) -> None:
    with pytest.raises(RecipeError, match=says):
        prepare(recipe(name, adapters.character, *overrides))


def test_another_base_and_an_unknown_adapter_are_refused(
    adapters: Adapters, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(NotFoundError, match="No adapter nobody"):
        prepare(recipe("character", "nobody"))
    from dataclasses import replace

    from lmft.bases import resolve_base

    other = replace(resolve_base("embedded"), name="other", hash="0" * 64)
    monkeypatch.setattr("lmft.train.prepare.resolve_base", lambda _: other)
    with pytest.raises(RecipeError, match=r"trained over the base embedded, which is not other"):
        prepare(recipe("character", adapters.character))


def test_what_the_recipe_leaves_open_is_the_parents(adapters: Adapters) -> None:
    parent = get_adapter(adapters.character)
    shipped = load_recipe(find_recipe("prefer"), (f"continue_from={parent.id.key}",))
    silent = Recipe(
        name="silent",
        data=shipped.data,
        method="kto",
        continue_from=parent.id.key,
        format={"kind": "chat"},
    )
    job = prepare(silent)
    assert job.parent == parent
    assert job.recipe.lora.rank == parent.manifest.rank
    assert job.recipe.quantization == parent.manifest.quantization
    assert job.contract.speakers == parent.contract.speakers
    assert job.contract.opening == parent.contract.opening
    assert job.contract.sampler == parent.contract.sampler
