"""Documents to token blocks, with the embedded base's own tokenizer."""

from __future__ import annotations

import itertools
import shutil

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from lmft.corpus.documents import Document, Message, ToolCall
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
    assert ENCODER.eos_id not in ENCODER.encode(Document("a", text=text, ends=False), None).ids
    told = Document("c", messages=(Message("assistant", text + "."),))
    assert ENCODER.encode(told, HESPER).ids.tolist().count(ENCODER.eos_id) == 1


def test_end_of_text_stands_only_where_a_document_ends():
    whole = ENCODER.encode(Document("a", text="Once."), None)
    part = ENCODER.encode(Document("a:1", text="Once.", ends=False), None)
    assert whole.ids.tolist() == [*part.ids, ENCODER.eos_id]
    assert ENCODER.eos_id not in part.ids


def test_a_story_is_learnt_whole():
    encoded = ENCODER.encode(Document("a", text="> You wait.\nNothing comes.\n"), None)
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
    assert trained.ids[: len(prompt)].tolist() == prompt
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


def test_a_turn_of_weight_0_is_context_and_a_name_stands_before_its_turn():
    said = (
        Message("assistant", "Not this.", trained=False),
        Message("user", "Who?", name="Adam"),
        Message("assistant", "But this.", name="Orlando"),
    )
    trained, ignored = learnt(said)
    assert trained == " But this.\n"
    assert ignored == "Hesper: Not this.\nAdam: Who?\nOrlando:"


def test_tools_and_calls_are_the_json_that_they_are():
    call = ToolCall("open", '{"door": "red"}')
    said = (
        Message("user", "Open it."),
        Message("assistant", "", tool_calls=(call,)),
        Message("tool", '{"open": true}'),
        Message("assistant", "It is open."),
    )
    encoded = ENCODER.encode(
        Document("c", kind="chat", messages=said, tools='[{"name": "open"}]'), HESPER
    )
    assert ENCODER.decode(encoded.ids) == (
        'Tools: [{"name": "open"}]\nTraveller: Open it.\n'
        'Hesper: {"name": "open", "arguments": {"door": "red"}}\n'
        'Tool: {"open": true}\nHesper: It is open.\n'
    )
    learnt_text = ENCODER.decode(encoded.ids[encoded.trained])
    assert learnt_text == ' {"name": "open", "arguments": {"door": "red"}}\n It is open.\n'


def test_the_end_after_a_persons_turn_is_not_learnt():
    said = (Message("assistant", "Bye."), Message("user", "Bye!"))
    encoded = ENCODER.encode(Document("c", kind="chat", messages=said), HESPER)
    assert encoded.ids[-1] == ENCODER.eos_id
    assert not encoded.trained[-1]


def test_quotes_are_folded_for_a_base_that_has_only_straight_ones():
    folding = Encoder(EMBEDDED_BASE, EOS, straight_quotes=True)
    text = "“Don’t,” she said — «naïve» café."
    assert folding.decode(folding.text(text)) == '"Don\'t," she said — "naïve" café.'
    assert folding.decode(folding.encode(Document("a", text=text), None).ids) == (
        '"Don\'t," she said — "naïve" café.'
    )
    said = (Message("user", "“Hm?”", name="D’Arcy"), Message("assistant", "“Yes.”"))
    chat = folding.encode(Document("c", kind="chat", messages=said), HESPER)
    assert folding.decode(chat.ids) == 'D\'Arcy: "Hm?"\nHesper: "Yes."\n'
    assert folding.decode(chat.ids[chat.trained]) == ' "Yes."\n'


def test_paragraphs_start_where_they_do_and_an_action_is_not_a_start():
    text = "You wait.\n\nRain.\n> You go.\nMud. More “mud.” And more."
    encoded = ENCODER.encode(Document("a", text=text), None)
    ids = encoded.ids.tolist()
    assert [ENCODER.decode(ids[start:])[:4] for start in encoded.starts] == ["You ", "Rain", "Mud."]
    sentences = [ENCODER.decode(ids[start:])[:5].strip() for start in encoded.sentences]
    assert sentences[-2:] == ["More", "And"]


def test_turns_start_with_their_names():
    said = (Message("user", "Hi.\nStill me."), Message("assistant", "Hello."))
    encoded = ENCODER.encode(Document("c", kind="chat", messages=said), HESPER)
    ids = encoded.ids.tolist()
    assert [ENCODER.decode(ids[start:])[:6] for start in encoded.starts] == ["Travel", "Hesper"]


@relaxed
@given(st.lists(st.text(max_size=60), max_size=6))
def test_counting_is_encoding_without_the_tokens(texts):
    assert ENCODER.count(texts) == [len(ENCODER.text(text)) for text in texts]


# Blocks


@st.composite
def encodings(draw) -> list[Encoded]:
    """Documents whose every token has an id of its own, so that a count is a proof."""
    lengths = draw(st.lists(st.integers(1, 40), min_size=1, max_size=8))
    numbers = iter(range(sum(lengths)))

    def places(length: int) -> np.ndarray:
        return np.array(sorted(draw(st.sets(st.integers(0, length - 1)))), dtype=np.int64)

    return [
        Encoded(
            np.array([next(numbers) for _ in range(length)], dtype=np.int32),
            np.array(draw(st.lists(st.booleans(), min_size=length, max_size=length))),
            places(length),
            places(length),
            length,
        )
        for length in lengths
    ]


def plain(n_tokens: int, starts=(0,), sentences=()) -> Encoded:
    return Encoded(
        np.arange(n_tokens, dtype=np.int32),
        np.ones(n_tokens, dtype=bool),
        np.array(starts, dtype=np.int64),
        np.array(sentences, dtype=np.int64),
        n_tokens,
    )


@relaxed
@given(encodings(), st.integers(2, 64))
def test_every_trained_token_counts_once_in_full_blocks(documents, block_tokens):
    wanted = [i for d in documents for i, flag in zip(d.ids, d.trained, strict=True) if flag]
    if not wanted:
        with pytest.raises(ValueError, match="no token would be trained"):
            pack(documents, block_tokens)
        return
    blocks = pack(documents, block_tokens)
    total = sum(len(document.ids) for document in documents)
    assert blocks.ids_NT.shape == blocks.labels_NT.shape
    assert blocks.ids_NT.shape[1] == min(block_tokens, total)
    counted = blocks.labels_NT[blocks.labels_NT != IGNORED]
    assert counted.tolist() == wanted
    assert blocks.n_trained_tokens == len(wanted)
    assert blocks.n_tokens == blocks.ids_NT.size
    # A label is the token at its place; a block is a stretch of the text, never padding.
    assert (counted == blocks.ids_NT[blocks.labels_NT != IGNORED]).all()
    assert (np.diff(blocks.ids_NT, axis=1) == 1).all()


@relaxed
@given(encodings(), st.integers(2, 64))
def test_every_label_but_the_very_first_has_a_token_before_it(documents, block_tokens):
    assume(any(document.trained.any() for document in documents))
    blocks = pack(documents, block_tokens)
    assert (blocks.labels_NT[1:, 0] == IGNORED).all()


@relaxed
@given(encodings(), st.integers(2, 64))
def test_a_block_reads_at_most_a_third_again(documents, block_tokens):
    assume(any(document.trained.any() for document in documents))
    ids_NT = pack(documents, block_tokens).ids_NT
    # All but the last, which reaches back to be full; blocks left out only widen the gaps.
    for before, block in itertools.pairwise(ids_NT[:-1]):
        assert before[-1] + 1 - block[0] <= max(1, ids_NT.shape[1] // 3)


def test_a_block_begins_where_a_paragraph_does():
    blocks = pack([plain(30, starts=[0, 4, 10, 16, 22])], 12)
    assert blocks.ids_NT[:, 0].tolist() == [0, 10, 18]
    assert blocks.labels_NT[1].tolist() == [IGNORED] * 2 + list(range(12, 22))


def test_a_block_begins_with_a_sentence_where_no_paragraph_is_near():
    blocks = pack([plain(30, starts=[0], sentences=[3, 9, 18])], 12)
    assert blocks.ids_NT[:, 0].tolist() == [0, 9, 18]


def learnt_firsts(*documents: Document) -> list[bool]:
    """Whether the first token of each document is learnt, laid end to end in one block."""
    encoded = list(ENCODER.encode_all(documents, None))
    (labels,) = pack(encoded, 10_000).labels_NT
    places = itertools.accumulate([0, *(len(document.ids) for document in encoded[:-1])])
    return [bool(labels[place] != IGNORED) for place in places]


def test_a_step_over_missing_text_is_not_learnt():
    def part(story: int, number: int, *, begins: bool = False, ends: bool = False) -> Document:
        return Document(
            "a", text=f"Part {number}.", story=story, part=number, begins=begins, ends=ends
        )

    first, second, third = part(1, 0, begins=True), part(1, 1), part(1, 2, ends=True)
    other = part(2, 0, begins=True, ends=True)
    assert learnt_firsts(first, second, third, other) == [True] * 4
    assert learnt_firsts(first, third, other) == [True, False, True], "a part is missing"
    assert learnt_firsts(first, second, other) == [True, True, False], "the end is missing"
    assert learnt_firsts(other, second) == [True, False], "the beginning is missing"


def test_a_block_longer_than_the_corpus_is_the_corpus():
    blocks = pack([plain(3)], 256)
    assert blocks.ids_NT.tolist() == [[0, 1, 2]]


def test_the_last_block_reaches_back_for_context_but_not_for_loss():
    blocks = pack([plain(5)], 3)
    assert blocks.ids_NT.tolist() == [[0, 1, 2], [2, 3, 4]]
    assert blocks.labels_NT.tolist() == [[0, 1, 2], [IGNORED, 3, 4]]


def test_blocks_with_nothing_to_learn_are_left_out():
    document = plain(9)
    document.trained[3:6] = False
    assert pack([document], 3).ids_NT[:, -1].tolist() == [2, 6, 8]
