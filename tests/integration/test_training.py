"""Training for real: bitsandbytes NF4, PEFT, the fast path, on the embedded base."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from safetensors import safe_open

from lmft import paths
from lmft.bases import inspect_base
from lmft.registry.adapters import MANIFEST, OPTIONAL_FILES, REQUIRED_FILES, get_adapter, verify
from lmft.train.recipe import load_recipe
from tests.conftest import ROOT, Adapters, run_lmft


def in_process(script: str) -> dict[str, float]:
    """Run the script away from pytest, since the libraries warn on import; it prints JSON."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        capture_output=True,
        text=True,
        timeout=600,
        env=os.environ.copy(),
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def test_training_lowers_the_heldout_loss(adapters: Adapters) -> None:
    for name in (adapters.adventure, adapters.character):
        training = get_adapter(name).manifest.training
        assert 0 < training.heldout_after < training.heldout_before


def test_an_adapter_directory_is_complete_safe_and_verified(adapters: Adapters) -> None:
    adapter = get_adapter(adapters.adventure)
    verify(adapter)
    names = {file.name for file in adapter.path.iterdir()}
    assert {*REQUIRED_FILES, MANIFEST} <= names <= {*REQUIRED_FILES, *OPTIONAL_FILES, MANIFEST}
    # The recipe names its data, so that it can be run again; nothing else holds a path.
    for file in adapter.path.iterdir():
        if file.suffix in (".json", ".jsonl", ".md", ".html"):
            assert str(ROOT) not in file.read_text()
            assert paths.home().name not in file.read_text()


def test_the_lora_covers_every_linear_layer_of_the_blocks_in_fp32(adapters: Adapters) -> None:
    file = get_adapter(adapters.adventure).path / "adapter_model.safetensors"
    with safe_open(file, "np") as tensors:
        names = list(tensors.keys())
        modules = {name.split(".lora_")[0].split(".h.0.")[1] for name in names if ".h.0." in name}
        assert modules == {"attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"}
        assert {tensors.get_slice(name).get_dtype() for name in names} == {"F32"}


def test_the_frozen_recipe_is_a_recipe_and_names_what_auto_chose(adapters: Adapters) -> None:
    recipe = load_recipe(get_adapter(adapters.adventure).path / "recipe.yaml")
    assert isinstance(recipe.training.block_tokens, int)
    assert isinstance(recipe.training.batch_blocks, int)


def test_two_adapters_of_one_base_share_its_served_variant(adapters: Adapters) -> None:
    variants = {
        get_adapter(name).manifest.variant for name in (adapters.adventure, adapters.character)
    }
    assert len(variants) == 1
    exported = inspect_base(paths.bases_dir() / variants.pop(), "embedded", "embedded")
    assert exported.fold_quotes


def test_a_failed_training_leaves_nothing_behind(tmp_path: object) -> None:
    home = str(tmp_path)
    done = run_lmft(
        "train", "adventure", "--set", "training.learning_rate=0.99",
        "--set", "training.epochs=0.3", "--set", "lora.alpha=1000000000", LMFT_HOME=home,
    )  # fmt: skip
    assert done.returncode == 1
    assert "diverged" in done.stderr
    assert "learning_rate" in done.stderr
    assert not list((paths.Path(home) / "adapters").glob("*"))


SETUP = """
import json, torch
from lmft.train.environment import prepare_libraries
prepare_libraries()
from lmft.bases import resolve_base
from lmft.train.model import add_lora, four_bit_modules, load_base
from lmft.train.planning.plan import Plan
from lmft.train.recipe import Lora
base = resolve_base("embedded")
plan = Plan("cpu", "nf4", "float32", 64, 4, 1, ())
torch.manual_seed(0)
ids = torch.randint(1, 8000, (8, 64))
"""


def test_every_linear_layer_is_four_bit_and_never_repacked_by_an_evaluation() -> None:
    """bitsandbytes on AVX512_BF16 rewrites weights in eval mode; then gradients are wrong."""
    result = in_process(
        SETUP
        + """
model = add_lora(load_base(base, plan), Lora(), seed=1)
def gradients():
    model.train(); model.zero_grad()
    model(input_ids=ids, labels=ids).loss.backward()
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
before = gradients()
model.eval()
with torch.inference_mode(): model(input_ids=ids)
quantised = four_bit_modules(model)
print(json.dumps({
    "four_bit": len(quantised),
    "repacking": sum(m.support_avx512bf16_for_cpu for m in quantised.values()),
    "bytes": {str(m.weight.dtype) for m in quantised.values()} == {"torch.uint8"},
    "difference": float((gradients() - before).abs().max()),
    "norm": float(before.norm()),
}))
"""
    )
    assert result["four_bit"] == 24
    assert result["bytes"]
    assert not result["repacking"]
    assert result["norm"] > 0
    assert result["difference"] == 0


def test_the_exported_variant_answers_exactly_as_the_four_bit_model_does(tmp_path: object) -> None:
    result = in_process(
        SETUP
        + f"""
import os; os.environ["LMFT_HOME"] = {str(tmp_path)!r}
from transformers import AutoModelForCausalLM
from lmft.train.variant import export_variant, variant_name
model = load_base(base, plan).eval()
path = export_variant(base, plan, model, variant_name(base, plan, "dequantized"))
served = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval()
original = AutoModelForCausalLM.from_pretrained(base.path, dtype=torch.float32).eval()
with torch.inference_mode():
    want, got, other = (m(input_ids=ids).logits for m in (model, served, original))
print(json.dumps({{
    "difference": float((want - got).abs().max()),
    "cost_of_quantization": float((want - other).abs().max()),
}}))
"""
    )
    assert result["difference"] < 1e-3 < 0.1 < result["cost_of_quantization"]


@pytest.mark.parametrize("recipe", ["adventure"])
def test_the_same_recipe_gives_the_same_corpus_and_base(recipe: str, adapters: Adapters) -> None:
    manifest = get_adapter(getattr(adapters, recipe)).manifest
    assert manifest.base_hash == inspect_base(paths.EMBEDDED_BASE, "embedded", "embedded").hash
