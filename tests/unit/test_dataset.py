"""Documents to token blocks, with the embedded base's own tokenizer."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lmft.corpus.documents import Document, Message
from lmft.dataset.blocks import IGNORED, pack
from lmft.dataset.encode import Encoded, Encoder
from lmft.errors import BaseModelError
from lmft.format.contract import FormatContract, Speakers
from lmft.format.render import render_chat_prompt
from lmft.paths import EMBEDDED_BASE

relaxed = settings(deadline=None, max_examples=150)

EOS = "<|endoftext|>"
ENCODER = Encoder(EMBEDDED_BASE, EOS)
HESPER = Speakers(user="Traveller", assistant="Hesper")

words = st.text(min_size=1).filter(str.strip)
letters = st.text(st.characters(categories=["L"]), min_size=1)
conversations = st.lists(
    st.builds(Message, st.sampled_from(["system", "user", "assistant"]), words),
    min_size=1,
    max_size=6,
)


# Encode


@relaxed
@given(st.text())
@example("naïve “quotes”\n> You wait…  \r\n\t🦆\u0000")
@example(f"a{EOS}b")
def test_decoding_gives_back_the_text(text):
    assert ENCODER.decode(ENCODER.text(text)) == text


@relaxed
@given(st.lists(st.sampled_from([EOS, "<|", "endoftext", "|>", "a", " ", "\n"])).map("".join))
def test_end_of_text_in_a_text_is_text(text):
    assert ENCODER.eos_id not in ENCODER.text(text)
    assert ENCODER.eos_id not in ENCODER.encode(Document("a", text, ends=False), None).ids
    told = Document("c", messages=(Message("assistant", text + "."),))
    assert ENCODER.encode(told, HESPER).ids.count(ENCODER.eos_id) == 1


def test_end_of_text_stands_only_where_a_document_ends():
    whole = ENCODER.encode(Document("a", "Once."), None)
    part = ENCODER.encode(Document("a:1", "Once.", ends=False), None)
    assert whole.ids == [*part.ids, ENCODER.eos_id]
    assert ENCODER.eos_id not in part.ids


def test_a_story_is_learnt_whole():
    encoded = ENCODER.encode(Document("a", "> You wait.\nNothing comes.\n"), None)
    assert all(encoded.trained)
    assert len(encoded.trained) == len(encoded.ids)
    assert encoded.n_bytes == 27


def learnt(messages) -> tuple[str, str]:
    """The text of the tokens that are learnt, and of those that are not."""
    encoded = ENCODER.encode(Document("c", messages=tuple(messages)), HESPER)
    pairs = list(zip(encoded.ids, encoded.trained, strict=True))
    return (
        ENCODER.decode(token for token, trained in pairs if trained),
        ENCODER.decode(token for token, trained in pairs if not trained),
    )


def one_block(text: str) -> str:
    return "\n".join(line for line in text.strip().splitlines() if line.strip())


@relaxed
@given(conversations)
@example(
    [Message("user", "Bye 🦆"), Message("assistant", "é. Safe\n\nroad 🦆"), Message("user", "!")]
)
def test_the_mask_covers_the_replies_and_nothing_of_the_person(messages):
    trained, ignored = learnt(messages)
    replies = [one_block(m.content) for m in messages if m.role == "assistant"]
    assert trained == "".join(f" {reply}\n" for reply in replies)
    for message in messages:
        if message.role != "assistant":
            assert one_block(message.content) in ignored


def test_a_conversation_ends_with_a_learnt_end_of_text():
    encoded = ENCODER.encode(Document("c", messages=(Message("assistant", "Hello."),)), HESPER)
    assert (encoded.ids[-1], encoded.trained[-1]) == (ENCODER.eos_id, True)


@relaxed
@given(letters, letters)
def test_the_prompt_has_the_tokens_that_training_saw_before_the_reply(asked, answered):
    contract = FormatContract(kind="chat", speakers=HESPER, eos=EOS, context_length=64)
    messages = (Message("user", asked), Message("assistant", answered))
    trained = ENCODER.encode(Document("c", messages=messages), HESPER)
    prompt = ENCODER.text(render_chat_prompt(messages[:1], contract))
    assert trained.ids[: len(prompt)] == prompt
    assert not any(trained.trained[: len(prompt)])
    assert all(trained.trained[len(prompt) :])


def test_a_broken_tokenizer_is_named(tmp_path):
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(BaseModelError, match=r"tokenizer\.json is not a tokenizer"):
        Encoder(tmp_path, EOS)


def test_an_end_of_text_that_the_tokenizer_lacks_is_named(tmp_path):
    shutil.copy(EMBEDDED_BASE / "tokenizer.json", tmp_path)
    with pytest.raises(BaseModelError, match="has no token </s>"):
        Encoder(tmp_path, "</s>")


# Blocks


@st.composite
def encodings(draw) -> list[Encoded]:
    """Documents whose every token has an id of its own, so that a count is a proof."""
    lengths = draw(st.lists(st.integers(1, 40), min_size=1, max_size=8))
    numbers = iter(range(sum(lengths)))
    return [
        Encoded(
            [next(numbers) for _ in range(length)],
            draw(st.lists(st.booleans(), min_size=length, max_size=length)),
            length,
        )
        for length in lengths
    ]


@relaxed
@given(encodings(), st.integers(1, 64))
def test_every_trained_token_counts_once_in_full_blocks(documents, block_tokens):
    wanted = [i for d in documents for i, flag in zip(d.ids, d.trained, strict=True) if flag]
    if not wanted:
        with pytest.raises(ValueError, match="no token would be trained"):
            pack(documents, block_tokens)
        return
    blocks = pack(documents, block_tokens)
    total = sum(len(document.ids) for document in documents)
    length = min(block_tokens, total)
    assert blocks.ids_NT.shape == blocks.labels_NT.shape == (-(-total // length), length)
    counted = blocks.labels_NT[blocks.labels_NT != IGNORED]
    assert sorted(counted.tolist()) == wanted
    assert blocks.n_trained_tokens == len(wanted)
    assert blocks.n_tokens == blocks.ids_NT.size
    # A label is the token at its place; a block is a stretch of the text, never padding.
    assert (counted == blocks.ids_NT[blocks.labels_NT != IGNORED]).all()
    assert (np.diff(blocks.ids_NT, axis=1) == 1).all()


def test_a_block_longer_than_the_corpus_is_the_corpus():
    blocks = pack([Encoded([5, 6, 7], [True, False, True], 3)], 256)
    assert blocks.ids_NT.tolist() == [[5, 6, 7]]
    assert blocks.labels_NT.tolist() == [[5, IGNORED, 7]]


def test_the_last_block_reaches_back_for_context_but_not_for_loss():
    blocks = pack([Encoded(list(range(5)), [True] * 5, 5)], 3)
    assert blocks.ids_NT.tolist() == [[0, 1, 2], [2, 3, 4]]
    assert blocks.labels_NT.tolist() == [[0, 1, 2], [IGNORED, 3, 4]]
