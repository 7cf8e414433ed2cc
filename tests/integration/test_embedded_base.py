"""The base that ships: its files are the record's, and vLLM reads them as transformers does."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from lmft import paths
from lmft.bases import resolve_base
from lmft.paths import EMBEDDED_BASE
from lmft.pretrain.recipe import find_pretraining, load_pretraining
from tests.conftest import ROOT

RECORD = json.loads((EMBEDDED_BASE / "lmft_training.json").read_text())
PROMPTS = (
    "You stand before a door of black oak. Behind it somebody is singing.",
    "> You take the lantern.\nThe stairs go down into the dark,",
    "Once upon a time there was a king who had three daughters, and the youngest",
)
_ASK_VLLM = """
import json, os, sys
from vllm import LLM, SamplingParams
base, prompts = sys.argv[1], json.loads(sys.argv[2])
engine = LLM(model=base, dtype="float32", max_model_len=256, max_num_seqs=4, enforce_eager=True)
one = SamplingParams(temperature=0.0, max_tokens=1, prompt_logprobs=0)
answers = engine.generate([{"prompt_token_ids": ids} for ids in prompts], one)
found = [
    [next(iter(place.values())).logprob for place in answer.prompt_logprobs[1:]]
    for answer in answers
]
print("FOUND", json.dumps(found), flush=True)
# An interpreter that ends by itself may abort over threads of vLLM's.
engine.llm_engine.engine_core.shutdown()
os._exit(0)
"""


def test_the_shipped_files_are_those_of_the_record():
    files = {file.name for file in EMBEDDED_BASE.iterdir()} - {"README.md", "lmft_training.json"}
    assert RECORD["files"] == {name: paths.sha256_file(EMBEDDED_BASE / name) for name in files}


def test_the_card_says_what_the_record_and_the_benchmark_say():
    card = " ".join((EMBEDDED_BASE / "README.md").read_text().split())
    measured = json.loads((ROOT / "bench" / "results" / "base.json").read_text())
    new, first = measured["base"]["new"], measured["base"]["first"]
    for said in (
        f"{RECORD['tokens'] / 1e6:.1f}M tokens",
        f"{RECORD['steps']:,} steps",
        f"{RECORD['epochs']:.2f} epochs",
        f"{round(RECORD['seconds'] / 60)} minutes",
        f"{RECORD['kwh']:.3f} kWh ({RECORD['energy_source']})",
        f"{RECORD['heldout_nats_per_byte']:.4f}",
        *(f"{first[name]:.4f} | {new[name]:.4f}" for name in new),
    ):
        assert said in card, said
    for text in RECORD["samples"]:
        assert " ".join(text.split()) in card, text
    assert len(RECORD["samples"]) == 5


def test_the_recipe_that_ships_is_the_one_that_made_it():
    recipe = load_pretraining(
        find_pretraining("embedded-base"), data=EMBEDDED_BASE / "README.md"
    ).tree()
    assert {**recipe, "data": RECORD["recipe"]["data"]} == RECORD["recipe"]


def test_it_has_the_size_that_a_checkout_can_carry():
    weights = list(EMBEDDED_BASE.glob("*.safetensors"))
    assert sum(file.stat().st_size for file in weights) <= 40e6
    assert max(file.stat().st_size for file in weights) <= 16e6
    base = resolve_base("embedded")
    assert 7e6 <= base.n_parameters <= 18e6
    assert base.context_length == 1024
    config = json.loads((EMBEDDED_BASE / "config.json").read_text())
    assert config["n_embd"] // config["n_head"] == 64


@pytest.mark.engine
def test_vllm_and_transformers_agree():
    tokenizer = AutoTokenizer.from_pretrained(EMBEDDED_BASE)
    prompts = [[0, *tokenizer(prompt, add_special_tokens=False).input_ids] for prompt in PROMPTS]
    done = subprocess.run(
        [sys.executable, "-c", _ASK_VLLM, str(EMBEDDED_BASE), json.dumps(prompts)],
        cwd=ROOT,
        env=os.environ | {"VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("FOUND ")]
    model = AutoModelForCausalLM.from_pretrained(EMBEDDED_BASE, dtype=torch.float32)
    for ids, found in zip(prompts, json.loads(line.removeprefix("FOUND ")), strict=True):
        with torch.no_grad():
            logprobs = model(torch.tensor([ids])).logits[0].log_softmax(-1)
        expected = [logprobs[at, token].item() for at, token in enumerate(ids[1:])]
        assert found == pytest.approx(expected, abs=2e-3)
