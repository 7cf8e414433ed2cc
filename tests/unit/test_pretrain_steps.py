"""Vocabulary, batches, schedule, Muon and the measure, each against what it must equal."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from jinja2 import Template
from rich.console import Console

from lmft import machine
from lmft.errors import DivergedError, InputError, MachineError
from lmft.pretrain import chat, keeping
from lmft.pretrain.keeping import Reached
from lmft.pretrain.loop import compiles
from lmft.pretrain.measure import nats_per_byte, sample
from lmft.pretrain.muon import Muon, orthogonal
from lmft.pretrain.recipe import Shape, Training, Vocabulary
from lmft.pretrain.shape import new_model
from lmft.pretrain.steps import Batches, Optimizers, loss_of, rate_share, train_step
from lmft.pretrain.text import SEPARATOR
from lmft.pretrain.vocabulary import read_tokens, train_tokenizer, write_tokens
from lmft.pretrain.watching import Watch
from tests.pretraining import TALES

TEXTS = [file.read_text(encoding="utf-8") for file in TALES]


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(TEXTS, Vocabulary(size=600))


# Tokens


def test_control_tokens_come_first(tokenizer):
    assert tokenizer.get_vocab_size() == 600
    assert [tokenizer.id_to_token(number) for number in range(5)] == [SEPARATOR, *chat.TOKENS]
    plain = train_tokenizer(TEXTS, Vocabulary(size=600, chat=False))
    assert plain.token_to_id(chat.END) is None


@given(texts=st.lists(st.text(min_size=1), min_size=1))
@example(texts=["He wrote <|endoftext|> and <|user|> and <|end|>."])
def test_tokens_on_disk_are_the_documents(tmp_path_factory, tokenizer, texts):
    file = tmp_path_factory.mktemp("t") / "tokens.bin"
    write_tokens(texts, tokenizer, file, fold=False)
    ids = read_tokens(file, tokenizer)
    assert int((ids == 0).sum()) == len(texts)
    parts = np.split(ids, np.flatnonzero(ids == 0))[1:]
    assert [tokenizer.decode(part[1:].tolist()) for part in parts] == texts


def test_turns_are_what_the_template_writes(tmp_path, tokenizer):
    turns = (("system", "You are Bertram."), ("user", "<|end|>?"), ("assistant", "No."))
    write_tokens([turns, "A story."], tokenizer, tmp_path / "t", fold=False)
    ids = read_tokens(tmp_path / "t", tokenizer)
    messages = [{"role": role, "content": words} for role, words in turns]
    expected = Template(chat.TEMPLATE).render(messages=messages)
    assert tokenizer.decode(ids.tolist(), skip_special_tokens=False) == (
        f"{SEPARATOR}{expected}{SEPARATOR}A story."
    )
    assert (ids == tokenizer.token_to_id(chat.END)).sum() == 3


def test_a_long_document_is_one_document(tmp_path, tokenizer):
    text = "\n".join(["The lamp went out, and nobody said a word."] * 6000)
    write_tokens([text], tokenizer, tmp_path / "t", fold=False)
    ids = read_tokens(tmp_path / "t", tokenizer)
    assert (ids == 0).sum() == 1
    assert tokenizer.decode(ids[1:].tolist()) == text


def test_quotes_are_folded_if_the_vocabulary_has_only_straight_ones(tmp_path, tokenizer):
    write_tokens(["“Yes,” she said."], tokenizer, tmp_path / "t", fold=True)
    ids = read_tokens(tmp_path / "t", tokenizer)
    assert tokenizer.decode(ids[1:].tolist()) == '"Yes," she said.'


# Batches


def test_an_epoch_has_every_block_once_and_the_next_another_order():
    tokens_N = np.arange(1000, dtype=np.uint16)
    batches = Batches(tokens_N, 10, step_tokens=40, micro_tokens=20, seed=1)
    assert batches.n_blocks == 4
    steps = [torch.cat(list(batches.step(step))) for step in range(48)]
    assert all(one.shape == (4, 11) for one in steps)
    assert all((torch.diff(one, dim=1) == 1).all() for one in steps)
    first = torch.cat(steps[:24])[:, 0].tolist()
    assert len(set(first)) == len(first)
    assert torch.cat(steps[24:])[:, 0].tolist() != first
    assert torch.equal(torch.cat(list(batches.step(7))), steps[7])


@pytest.mark.parametrize("n_tokens", [21, 60, 399])
def test_a_text_shorter_than_a_step_is_a_smaller_step(n_tokens):
    batches = Batches(np.arange(n_tokens, dtype=np.uint16), 10, 400, 100, seed=1)
    for step in range(3):
        rows = torch.cat(list(batches.step(step)))
        assert rows.shape == (batches.n_blocks, 11)
        assert batches.n_blocks == (n_tokens - 1) // 10 - 1


def test_a_text_shorter_than_two_blocks_is_refused():
    with pytest.raises(InputError, match="blocks of 10 need 21"):
        Batches(np.arange(20, dtype=np.uint16), 10, 40, 20, seed=1)


@given(st.integers(1, 500), st.floats(0, 0.5), st.floats(0, 1))
def test_the_rate_rises_stays_and_falls(steps, warmup, decay):
    training = Training(tokens=1, warmup_share=warmup, decay_share=decay)
    shares = [rate_share(step, steps, training) for step in range(steps)]
    assert all(0 < share <= 1 for share in shares)
    peak = shares.index(max(shares))
    assert shares[: peak + 1] == sorted(shares[: peak + 1])
    assert shares[peak:] == sorted(shares[peak:], reverse=True)


# Steps


@pytest.mark.parametrize("shape", [(8, 8), (8, 32), (32, 8)])
def test_muons_step_is_nearly_orthogonal(shape):
    torch.manual_seed(0)
    values = torch.linalg.svdvals(orthogonal(torch.randn(shape) ** 3))
    if shape[0] != shape[1]:
        assert 0.6 < values.min() < values.max() < 1.3
    assert values.max() < 1.3


def test_muons_step_is_as_large_as_adamws():
    weight = torch.nn.Parameter(torch.zeros(64, 256))
    weight.grad = torch.randn(64, 256)
    Muon([weight], lr=0.01, weight_decay=0.0).step()
    assert weight.pow(2).mean().sqrt().item() == pytest.approx(0.002, rel=0.2)


def a_model():
    return new_model(Shape(layers=1, width=64, positions=64), 600, seed=1)


def test_micro_batches_change_nothing_but_memory(monkeypatch):
    """The gradient of a step is the mean over its tokens, however they are passed."""
    # In float32, whatever this machine would take: sums in bf16 differ by their order.
    for place in ("steps", "muon"):
        monkeypatch.setattr(f"lmft.pretrain.{place}.mixes_bf16", lambda device: False)
    tokens_N = np.random.default_rng(1).integers(0, 600, 2000).astype(np.uint16)
    found = []
    for micro_tokens in (32, 48, 128):
        training, model = Training(tokens=1, learning_rate=0.01), a_model()
        batches = Batches(tokens_N, 16, 128, micro_tokens, seed=1)
        loss = loss_of(model, compiled=False)
        optimizers = Optimizers(model, training)
        losses = [train_step(model, loss, batches, step, optimizers, 1.0) for step in range(3)]
        found.append((losses, model.transformer.wte.weight.detach()))
    for losses, weights in found[1:]:
        assert losses == pytest.approx(found[0][0], rel=1e-5)
        torch.testing.assert_close(weights, found[0][1], atol=1e-4, rtol=1e-3)


def test_auto_compiles_long_trainings_where_bf16_is_fast(monkeypatch):
    model = a_model()
    n_parameters = sum(one.numel() for one in model.parameters())
    long, short = (Training(tokens=tokens) for tokens in (2e13 / n_parameters, 1000))
    for mixes in (True, False):
        monkeypatch.setattr("lmft.pretrain.loop.mixes_bf16", lambda device, mixes=mixes: mixes)
        assert compiles(long, model) is mixes
        assert not compiles(short, model)
        assert compiles(short.model_copy(update={"compile": True}), model)
        assert not compiles(long.model_copy(update={"compile": False}), model)


@pytest.mark.parametrize(("capability", "mixes"), [(7.5, False), (8.0, True), (9.0, True)])
def test_a_gpu_older_than_ampere_has_no_bf16(monkeypatch, capability, mixes):
    gpu = machine.Gpu("some GPU", 1 << 34, 1 << 34, capability)
    monkeypatch.setattr(machine, "gpus", lambda: (gpu,))
    assert machine.mixes_bf16("cuda") is mixes


def test_gradients_that_are_no_numbers_change_nothing():
    model = a_model()
    batches = Batches(np.arange(2000, dtype=np.uint16) % 600, 16, 64, 64, seed=1)
    before = {name: one.detach().clone() for name, one in model.named_parameters()}

    def loss(inputs_BT, targets_BT):
        return loss_of(model, compiled=False)(inputs_BT, targets_BT) * float("inf")

    found = train_step(model, loss, batches, 0, Optimizers(model, Training(tokens=1)), 1.0)
    assert math.isnan(found)
    assert all(torch.equal(before[name], one) for name, one in model.named_parameters())


def test_optimizers_go_on_from_their_state():
    model = a_model()
    batches = Batches(np.arange(2000, dtype=np.uint16) % 600, 16, 64, 64, seed=1)
    loss, training = loss_of(model, compiled=False), Training(tokens=1)
    optimizers = Optimizers(model, training)
    train_step(model, loss, batches, 0, optimizers, 1.0)
    other = a_model()
    other.load_state_dict(model.state_dict())
    resumed = Optimizers(other, training)
    resumed.load_state({key: one.clone() for key, one in optimizers.state().items()})
    for step in (1, 2):
        train_step(model, loss, batches, step, optimizers, 0.5)
        train_step(other, loss_of(other, compiled=False), batches, step, resumed, 0.5)
    for one, two in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(one, two)


def test_a_loss_that_is_no_number_ends_it(tmp_path):
    with Watch(tmp_path / "metrics.jsonl", Console(quiet=True), 10, 64, 0, 0.0) as watch:
        watch.stepped(1, 5.0)
        with pytest.raises(DivergedError, match="nan at step 2"):
            watch.stepped(2, float("nan"))
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 1


def test_steps_that_are_made_again_stand_once_in_the_metrics(tmp_path):
    file = tmp_path / "metrics.jsonl"
    for first in (0, 2):
        with Watch(file, Console(quiet=True), 4, 64, first, 0.0) as watch:
            for step in range(first, 4):
                watch.measured(step, 1.0)
                watch.stepped(step + 1, 5.0)
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert [row["step"] for row in rows if "loss" in row] == [1, 2, 3, 4]
    assert [row["step"] for row in rows if "loss" not in row] == [0, 1, 2, 3]


# Checkpoints


def test_a_damaged_checkpoint_is_passed_over(tmp_path):
    model = a_model()
    optimizers = Optimizers(model, Training(tokens=1))
    assert keeping.load(tmp_path, model, optimizers) is None
    batches = Batches(np.arange(2000, dtype=np.uint16) % 600, 16, 64, 64, seed=1)
    for step in (1, 2, 3):
        train_step(model, loss_of(model, compiled=False), batches, step, optimizers, 1.0)
        keeping.save(tmp_path, model, optimizers, Reached(step, 9, 1.0, "key"))
    older, newer = sorted(tmp_path.glob("step-*"))
    assert keeping.load(tmp_path, model, optimizers) == Reached(3, 9, 1.0, "key")
    (newer / "optimizers.safetensors").write_bytes(b"half")
    assert keeping.load(tmp_path, model, optimizers) == Reached(2, 9, 1.0, "key")
    # The run comes by that step again.
    again = Reached(3, 9, 2.0, "key")
    keeping.save(tmp_path, model, optimizers, again)
    assert keeping.load(tmp_path, model, optimizers) == again
    (newer / "optimizers.safetensors").write_bytes(b"half")
    (older / "state.json").write_text("{")
    with pytest.raises(MachineError, match="No checkpoint"):
        keeping.load(tmp_path, model, optimizers)


# Measure


@pytest.mark.parametrize("n_tokens", [2, 17, 33, 100])
def test_nats_per_byte_is_the_sum_over_blocks(n_tokens):
    model = a_model().eval()
    ids = np.random.default_rng(2).integers(0, 600, n_tokens).astype(np.uint16)
    total = 0.0
    with torch.no_grad():
        for place in range(1, n_tokens):
            begin = (place - 1) // 16 * 16
            seen = torch.from_numpy(ids[begin:place].astype(np.int64))[None]
            total -= model(seen).logits[0, -1].log_softmax(0)[int(ids[place])].item()
    assert nats_per_byte(model, ids, 50, block_tokens=16) == pytest.approx(total / 50, rel=1e-5)


def test_a_sample_is_its_seeds():
    model = a_model()
    assert sample(model, [0], 40, seed=1) == sample(model, [0], 40, seed=1)
    assert sample(model, [0], 40, seed=1) != sample(model, [0], 40, seed=2)
    assert len(sample(model, [0], 40, seed=1)) == 40
    assert model.training
