"""Each architecture learns, in 4 bits and in 16, and its adapter is the same in plain libraries."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lmft import paths
from lmft.bases import Base
from lmft.dataset.blocks import IGNORED, Blocks
from lmft.dataset.encode import Encoder
from lmft.errors import BaseModelError
from lmft.train.planning.plan import Plan
from lmft.train.prepare import prepare
from lmft.train.recipe import Lora, Recipe, parse_recipe
from tests.tiny import ARCHITECTURES, make_base

torch = pytest.importorskip("torch")

STEPS = 8
PLAN = Plan("cpu", "none", "float32", 48, 4, STEPS, (), micro_blocks=2, accumulation=2)
RECIPE = parse_recipe(
    {"name": "x", "data": "x", "training": {"learning_rate": 1e-2}, "lora": {"rank": 8}}, "test"
)
COMMON = ("gpt2", "opt", "llama", "gpt_neox")
COMMON_FIRST = [
    pytest.param(name, marks=[] if name in COMMON else pytest.mark.long) for name in ARCHITECTURES
]
TEXT = "The innkeeper lights a candle. The rain falls on the road to the mill.\n"

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def repetitive_blocks(base: Base) -> Blocks:
    """The same few lines in each block, in two documents that share it."""
    ids = Encoder(base.path, base.eos_token).text(TEXT * 20)
    half = PLAN.block_tokens // 2
    ids_NT = np.tile(np.array([*ids[:half], *ids[:half]]), (8, 1))
    segments_NT = np.tile(np.repeat([0, 1], half), (8, 1)).astype(np.int32)
    labels_NT = ids_NT.copy()
    labels_NT[:, [0, half]] = IGNORED
    return Blocks(ids_NT, labels_NT, segments_NT)


@pytest.mark.parametrize("quantization", ["nf4", "none"])
@pytest.mark.parametrize("name", COMMON_FIRST)
def test_training_lowers_the_loss_and_plain_libraries_load_the_adapter_with_the_same_logits(
    name: str, quantization: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    from lmft.train.model import load_trainable
    from lmft.train.processes import whole_adapter
    from lmft.train.trainer import make_trainer
    from lmft.train.variant import export_variant, variant_name
    from lmft.train.weights import save_adapter

    monkeypatch.setattr(paths, "bases_dir", lambda: tmp_path / "bases")
    base = make_base(tmp_path / name, name)
    plan = replace(PLAN, quantization=quantization)
    model = load_trainable(base, plan, RECIPE.lora, seed=1)
    trainer = make_trainer(model, repetitive_blocks(base), RECIPE, plan, tmp_path, [])
    trainer.train()
    losses = [line["loss"] for line in trainer.state.log_history if "loss" in line]
    assert losses[-1] < 0.8 * losses[0]

    served = export_variant(base, plan, model, variant_name(base, plan, "dequantized"))
    adapter = tmp_path / "adapter"
    save_adapter(model, whole_adapter(model), adapter, base)
    plain = AutoModelForCausalLM.from_pretrained(served, dtype=torch.float32)
    loaded = PeftModel.from_pretrained(plain, adapter).eval()
    ids = torch.randint(1, 8000, (1, 24))
    with torch.no_grad():
        got, wanted = loaded(input_ids=ids).logits, model.eval()(input_ids=ids).logits
        with loaded.disable_adapter():
            untrained = loaded(input_ids=ids).logits
    assert (got - wanted).norm() < 1e-4 * wanted.norm()
    assert (untrained - wanted).norm() > 0.1 * wanted.norm()


@pytest.mark.parametrize("quantization", ["nf4", "none"])
@pytest.mark.parametrize("name", COMMON_FIRST)
def test_a_step_in_true_bf16_moves_every_master_and_keeps_it_in_fp32(
    name: str, quantization: str, tmp_path: Path
) -> None:
    from lmft.train.model import load_trainable
    from lmft.train.trainer import make_trainer

    base = make_base(tmp_path / name, name)
    plan = replace(PLAN, quantization=quantization, compute_dtype="bfloat16", steps=1)
    model = load_trainable(base, plan, RECIPE.lora, seed=1)
    masters = [one for one in model.parameters() if one.requires_grad]
    before = [one.detach().clone() for one in masters]
    recipe = RECIPE.model_copy(
        update={"training": RECIPE.training.model_copy(update={"warmup_share": 0.0})}
    )
    trainer = make_trainer(model, repetitive_blocks(base), recipe, plan, tmp_path, [])
    trainer.train()
    assert {one.dtype for one in masters} == {torch.float32}
    # At B = 0 the first step moves B alone.
    moved = [not torch.equal(*pair) for pair in zip(before, masters, strict=True)]
    assert sum(moved) == len(moved) / 2
    assert np.isfinite(trainer.state.log_history[0]["loss"])


def test_what_cannot_be_served_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    base = make_base(tmp_path / "base", "gpt2")
    config = json.loads((base.path / "config.json").read_text())
    config["architectures"] = ["MambaForCausalLM"]
    (base.path / "config.json").write_text(json.dumps(config))
    recipe = Recipe(
        name="x", data=str(tmp_path / "not-there.txt"), base=str(base.path), lora=Lora()
    )
    with pytest.raises(BaseModelError, match="MambaForCausalLM, which lmft does not serve"):
        prepare(recipe)
