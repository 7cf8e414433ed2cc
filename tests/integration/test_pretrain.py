"""`lmft pretrain` as a person runs it: from nothing, going on, killed, stopped, refused."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from lmft import paths
from lmft.bases import resolve_base
from tests.conftest import ROOT, run_lmft
from tests.pretraining import a_recipe, a_text

Done = subprocess.CompletedProcess


def lmft(folder: Path, *arguments: str) -> Done[str]:
    return run_lmft("pretrain", *arguments, LMFT_HOME=str(folder / "home"), OMP_NUM_THREADS="1")


def begin(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "lmft.cli", "pretrain", *arguments],
        cwd=ROOT,
        env=os.environ | {"LMFT_HOME": str(folder / "home"), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def rows(run: Path) -> list[dict[str, float]]:
    file = run / "metrics.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.is_file() else []


def wait_for_a_checkpoint(run: Path, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while not list((run / "checkpoints").glob("step-*")):
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.05)


def weights(base: Path) -> dict[str, torch.Tensor]:
    model = AutoModelForCausalLM.from_pretrained(base)
    return dict(model.named_parameters())


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Done[str]]:
    """The folder of a finished run, and what was said."""
    folder = tmp_path_factory.mktemp("whole")
    recipe = a_recipe(folder, a_text(folder), training={"checkpoint_minutes": 0})
    return folder, lmft(folder, str(recipe))


def assert_refused(done: Done[str], says: str) -> None:
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("Error: ")
    assert says in line


def run_of(folder: Path) -> Path:
    return folder / "home" / "pretrained" / "small"


def test_a_base_from_nothing_has_learnt(made):
    folder, done = made
    assert done.returncode == 0, done.stderr
    run = run_of(folder)
    heldout = [row["heldout_nats_per_byte"] for row in rows(run) if "heldout_nats_per_byte" in row]
    assert heldout[-1] < 0.8 * heldout[0]
    assert str(run / "small") in done.stdout
    assert "You open the door and" in done.stdout


def test_its_record_is_what_was_made(made):
    folder, _ = made
    base = run_of(folder) / "small"
    record = json.loads((base / "lmft_training.json").read_text())
    assert record["tokens"] == record["steps"] * 1024
    assert record["text_hash"] == paths.sha256_file(folder / "text.txt")
    assert record["recipe"]["training"]["seed"] == 3
    assert record["samples"][0].startswith("You open the door and")
    assert str(folder) not in json.dumps(record)
    files = {file.name for file in base.iterdir()} - {"lmft_training.json"}
    assert record["files"] == {name: paths.sha256_file(base / name) for name in files}


def test_it_is_a_base_with_a_chat_template_of_trained_tokens(made):
    folder, _ = made
    base = resolve_base(str(run_of(folder) / "small"))
    assert (base.architecture, base.context_length, base.fold_quotes) == (
        "GPT2LMHeadModel",
        64,
        True,
    )
    tokenizer = AutoTokenizer.from_pretrained(base.path)
    ids = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Hello"}], add_generation_prompt=True, return_dict=False
    )
    assert [ids[0], *ids[-2:]] == tokenizer.convert_tokens_to_ids(
        ["<|user|>", "<|end|>", "<|assistant|>"]
    )
    model = AutoModelForCausalLM.from_pretrained(base.path)
    assert model.generation_config.eos_token_id == tokenizer.convert_tokens_to_ids(
        ["<|endoftext|>", "<|end|>"]
    )
    assert len(tokenizer) == model.config.vocab_size


def test_a_finished_run_is_not_trained_again(made):
    folder, _ = made
    before = rows(run_of(folder))
    done = lmft(folder, str(folder / "recipe.yaml"))
    assert done.returncode == 0, done.stderr
    assert [row for row in rows(run_of(folder)) if "loss" in row] == [
        row for row in before if "loss" in row
    ]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_run_that_was_ended_becomes_what_it_would_have_become(made, tmp_path, number):
    folder, _ = made
    recipe, run = str(folder / "recipe.yaml"), tmp_path / "run"
    process = begin(tmp_path, recipe, "--out", str(run))
    wait_for_a_checkpoint(run, process)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    if number == signal.SIGKILL:
        assert process.returncode == -number
    else:
        assert process.returncode == 128 + number
        assert "The same command goes on" in said.splitlines()[-1]
    assert not (run / "small").exists()
    done = lmft(tmp_path, recipe, "--out", str(run))
    assert done.returncode == 0, done.stderr
    assert "going on from step" in done.stdout
    expected, found = weights(run_of(folder) / "small"), weights(run / "small")
    assert all(torch.equal(found[name], one) for name, one in expected.items())


def test_a_base_that_is_gone_on_from_keeps_its_vocabulary_and_shape(made, tmp_path):
    folder, _ = made
    older = run_of(folder) / "small"
    recipe = a_recipe(
        tmp_path,
        a_text(tmp_path),
        continue_from=str(older),
        vocabulary=None,
        shape=None,
        # Without a chat in it: the base can speak already.
        mix=None,
        training={"tokens": 10_000, "learning_rate": 0.002},
    )
    done = lmft(tmp_path, str(recipe), "--out", str(tmp_path / "run"))
    assert done.returncode == 0, done.stderr
    newer = tmp_path / "run" / "small"
    assert (newer / "tokenizer.json").read_bytes() == (older / "tokenizer.json").read_bytes()
    template = AutoTokenizer.from_pretrained(older).chat_template
    assert template
    assert template == AutoTokenizer.from_pretrained(newer).chat_template
    before, after = weights(older), weights(newer)
    assert {name: one.shape for name, one in before.items()} == {
        name: one.shape for name, one in after.items()
    }
    assert not torch.equal(before["transformer.wte.weight"], after["transformer.wte.weight"])
    heldout = [row for row in rows(tmp_path / "run") if "heldout_nats_per_byte" in row]
    assert heldout[-1]["heldout_nats_per_byte"] < heldout[0]["heldout_nats_per_byte"]


def test_a_text_without_chats_makes_no_chat_template(tmp_path):
    recipe = a_recipe(tmp_path, a_text(tmp_path), mix=None, training={"tokens": 4096})
    done = lmft(tmp_path, str(recipe))
    assert done.returncode == 0, done.stderr
    assert "no chat in this text" in done.stdout
    base = run_of(tmp_path) / "small"
    assert AutoTokenizer.from_pretrained(base).chat_template is None
    assert json.loads((base / "generation_config.json").read_text())["eos_token_id"] == 0


def test_another_text_is_another_run(made, tmp_path):
    folder, _ = made
    text = a_text(tmp_path, "One more story.")
    done = lmft(folder, str(folder / "recipe.yaml"), "--data", str(text))
    assert_refused(done, "another recipe")
    own = (folder / "text.txt").read_bytes()
    (folder / "text.txt").write_bytes(text.read_bytes())
    try:
        assert_refused(lmft(folder, str(folder / "recipe.yaml")), "trained on another text")
    finally:
        (folder / "text.txt").write_bytes(own)


def test_a_run_that_has_ended_does_not_get_longer(made):
    folder, _ = made
    done = lmft(folder, str(folder / "recipe.yaml"), "--set", "training.tokens=90000")
    assert_refused(done, "already")


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"continue_from": "/nowhere/base", "vocabulary": None, "shape": None}, "No base model"),
        ({"shape": {"width": 65}}, "`shape.width`"),
        (
            {
                "continue_from": "embedded",
                "vocabulary": None,
                "shape": None,
                "training": {"long_share": 0, "block_tokens": 2048},
            },
            "larger than the model's 1024",
        ),
    ],
)
def test_what_cannot_be_trained_is_one_line(tmp_path, changed, says):
    recipe = a_recipe(tmp_path, a_text(tmp_path), **changed)
    done = lmft(tmp_path, str(recipe))
    assert_refused(done, says)
