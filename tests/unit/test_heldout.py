"""The held-out loss against sums made plainly, token by token, with a tiny random model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import LoraConfig, get_peft_model
from transformers import GPT2Config, GPT2LMHeadModel

from lmft.corpus.documents import Document, Message
from lmft.dataset.encode import Encoded, Encoder
from lmft.eval import heldout
from lmft.eval.heldout import score_heldout
from lmft.format.contract import Speakers
from lmft.paths import EMBEDDED_BASE
from lmft.train.fast.install import install
from tests.unit.bos import EOS, bos_encoder

PLAIN = Encoder(EMBEDDED_BASE, EOS)
CONTEXT = 64


def tiny_model(*, forgetful: bool = False) -> Any:
    """`forgetful`: each prediction depends on the token before it and on nothing else."""
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=8193, n_positions=CONTEXT, n_embd=16, n_layer=2, n_head=2)
    config.initializer_range = 0.5
    config._attn_implementation = "sdpa"
    causal = GPT2LMHeadModel(config)
    if forgetful:
        with torch.no_grad():
            causal.transformer.wpe.weight.zero_()
            for layer in causal.transformer.h:
                layer.attn.c_proj.weight.zero_()
                layer.attn.c_proj.bias.zero_()
    lora = LoraConfig(target_modules=["c_fc"], init_lora_weights=False, fan_in_fan_out=True)
    model = get_peft_model(causal, lora)
    install(model)
    return model


@pytest.fixture(scope="module")
def model() -> Any:
    return tiny_model()


@pytest.fixture(scope="module")
def forgetful() -> Any:
    return tiny_model(forgetful=True)


@pytest.fixture(scope="module", params=["end-of-text", "beginning-of-text"])
def encoder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    if request.param == "end-of-text":
        return PLAIN
    directory: Path = tmp_path_factory.mktemp("bos")
    return bos_encoder(directory)


@torch.no_grad()
def plain_nats(model: Any, document: Encoded, encoder: Encoder) -> float:
    """The whole document at once, through all logits."""
    model.eval()
    ids = [encoder.start_id, *document.ids.tolist()]
    logprobs = torch.log_softmax(model(input_ids=torch.tensor([ids])).logits[0].double(), -1)
    return -sum(
        float(logprobs[place, token])
        for place, (token, flag) in enumerate(zip(ids[1:], document.trained, strict=True))
        if flag and token != encoder.eos_id
    )


def two_thirds_likeliest(model: Any, encoder: Encoder, n_tokens: int) -> Encoded:
    """A document that the model writes itself, but for every third token."""
    model.eval()
    ids = [encoder.start_id]
    with torch.no_grad():
        for place in range(n_tokens):
            logits = model(input_ids=torch.tensor([ids])).logits[0, -1]
            ids.append(int(logits.topk(2).indices[int(place % 3 == 2)]))
    (document,) = stories(encoder, "x")
    return replace(
        document, ids=np.array(ids[1:], document.ids.dtype), trained=np.ones(n_tokens, bool)
    )


def stories(encoder: Encoder, *texts: str) -> list[Encoded]:
    return [encoder.encode(Document("a", text=text), None) for text in texts]


def test_short_documents_are_scored_whole_after_their_start_token(model, encoder):
    documents = stories(encoder, "Rain fell.", "You wait by the door. Nobody comes.", "é")
    assert max(len(document.ids) for document in documents) < CONTEXT
    nats = sum(plain_nats(model, document, encoder) for document in documents)
    n_bytes = sum(document.n_bytes for document in documents)
    found = score_heldout(model, documents, encoder, CONTEXT).nats_per_byte
    assert found == pytest.approx(nats / n_bytes, rel=1e-5)


def test_a_token_is_right_if_no_other_is_likelier(model, encoder):
    document = two_thirds_likeliest(model, encoder, 30)
    assert encoder.eos_id not in document.ids
    found = score_heldout(model, [document], encoder, CONTEXT)
    assert found.token_accuracy == pytest.approx(20 / 30)
    assert score_heldout(model, [], encoder, CONTEXT).token_accuracy == 0


def test_of_a_conversation_the_replies_count_and_their_share_of_the_bytes(model, encoder):
    said = (Message("user", "Is there a bed?"), Message("assistant", "Two, by the stairs."))
    document = encoder.encode(Document("c", kind="chat", messages=said), Speakers())
    words = document.ids != encoder.eos_id
    share = document.trained[words].sum() / words.sum()
    assert 0 < share < 1
    found = score_heldout(model, [document], encoder, CONTEXT).nats_per_byte
    nats = plain_nats(model, document, encoder)
    assert found == pytest.approx(nats / (document.n_bytes * share), rel=1e-5)


@settings(deadline=None, max_examples=15)
@given(st.lists(st.integers(1, 150), min_size=1, max_size=4), st.integers(3, CONTEXT))
def test_every_token_is_scored_once_after_the_one_before_it(
    forgetful, encoder, lengths, window_tokens
):
    """A model that only knows the token before tells the same whatever the windows."""
    sample = encoder.text("The lamp by the river went out and no one came to light it. " * 15)
    documents = [
        encoder.encode(Document("a", text=encoder.decode(sample[:length])), None)
        for length in lengths
    ]
    found = score_heldout(forgetful, documents, encoder, window_tokens).nats_per_byte
    nats = sum(one_by_one(forgetful, document, encoder) for document in documents)
    assert found == pytest.approx(nats / sum(d.n_bytes for d in documents), rel=1e-4)


@torch.no_grad()
def one_by_one(model: Any, document: Encoded, encoder: Encoder) -> float:
    model.eval()
    ids = [encoder.start_id, *document.ids.tolist()]
    logits = model(input_ids=torch.tensor(ids)[:, None]).logits[:, 0].double()
    logprobs = torch.log_softmax(logits, -1)
    pairs = enumerate(ids[1:])
    return -sum(float(logprobs[at, token]) for at, token in pairs if token != encoder.eos_id)


@pytest.mark.parametrize("window_tokens", [2, 3, 4, 17])
def test_windows_have_their_size_half_of_it_context_and_beginning_of_text_where_it_must_be(
    encoder, window_tokens
):
    (document,) = stories(encoder, "The lamp by the river went out and no one came. " * 4)
    windows = list(heldout._windows(document, encoder, window_tokens))
    assert [window.n_tokens for window in windows[:-1]] == [window_tokens] * (len(windows) - 1)
    assert [window.starts for window in windows[1:]] == [encoder.always_start] * (len(windows) - 1)
    assert windows[0].starts
    scored = [place for window in windows for place in range(window.done, window.end)]
    assert scored == list(range(len(document.ids)))
    for window in windows[1:]:
        assert window.done - window.begin == (window_tokens - encoder.always_start) // 2


def test_a_batch_is_small_or_a_single_window_and_none_is_left_out(monkeypatch, encoder):
    monkeypatch.setattr(heldout, "_BATCH_TOKENS", 40)
    documents = stories(encoder, *("So it goes. " * number for number in (1, 2, 3, 4, 9, 20)))
    windows = [w for document in documents for w in heldout._windows(document, encoder, 64)]
    windows.sort(key=lambda window: window.n_tokens)
    batches = list(heldout._batches(windows))
    assert [window for batch in batches for window in batch] == windows
    assert any(len(batch) > 1 for batch in batches)
    for batch in batches:
        assert len(batch) == 1 or len(batch) * batch[-1].n_tokens <= 40


def test_nothing_to_score_is_no_loss_and_training_goes_on(model):
    model.train()
    assert score_heldout(model, [], PLAIN, CONTEXT).nats_per_byte == 0
    assert score_heldout(model, stories(PLAIN, "Rain."), PLAIN, CONTEXT).nats_per_byte > 0
    assert model.training
