"""What is looked at before training, and what is refused, with the real tokenizer."""

from __future__ import annotations

import dataclasses

import pytest

from lmft.corpus.documents import Document, Message
from lmft.corpus.info import CorpusInfo, PersonInfo, SideInfo
from lmft.dataset.encode import Encoder
from lmft.dataset.preflight import preflight
from lmft.errors import CorpusError
from lmft.format.contract import Speakers
from lmft.paths import EMBEDDED_BASE

EOS = "<|endoftext|>"
ENCODER = Encoder(EMBEDDED_BASE, EOS, straight_quotes=True)
NAMES = (
    *("Ada", "Bo", "Cleo", "Dan", "Eve", "Finn", "Gus", "Hal", "Ivy", "Jo"),
    *("Kit", "Lou", "Max", "Ned", "Ola", "Pim", "Quin", "Rae", "Sol", "Tom"),
)


def tale(number: int) -> Document:
    name = NAMES[number]
    text = " ".join(
        f"{name} goes to the {NAMES[-place].lower()}wood and finds {place} {name.lower()}berries."
        for place in range(1, 12)
    )
    return Document(f"{name}.txt", text=text, story=number)


def side(documents) -> SideInfo:
    n_bytes = sum(document.n_bytes for document in documents)
    return SideInfo(n_documents=len(documents), n_parts=len(documents), n_bytes=n_bytes, sha256="")


def look(train, heldout, kind="story", speakers=None, context_length=1024):
    info = CorpusInfo(
        kind=kind,
        hash="",
        heldout_share=0.1,
        split_by="document",
        files=(),
        train=side(train),
        heldout=side(heldout),
        cast=None,
        speakers=(),
        person=PersonInfo(person=None, first=0, second=0, third=0),
        languages={},
        lengths=(),
        characters={"a": 10, "я": 3, "雪": 2, "☃": 1},
        secrets=(),
        n_duplicates=0,
        duplicates=(),
        dropped=(),
        drops=(),
        n_faults=0,
        faults=(),
        notes=(),
    )
    return preflight(
        info, lambda: train, lambda: heldout, ENCODER, "embedded", context_length, speakers
    )


TRAIN, HELDOUT = [tale(number) for number in range(15)], [tale(number) for number in (16, 17)]


def test_a_sound_corpus_passes_with_its_exact_counts():
    seen = look(TRAIN, HELDOUT)
    assert seen.refusals == ()
    seen.require("corpus")
    counted = [len(ENCODER.encode(document, None).ids) for document in TRAIN]
    assert seen.train.n_tokens == seen.train.n_trained == sum(counted)
    assert seen.longest_tokens == max(
        counted + [len(ENCODER.encode(document, None).ids) for document in HELDOUT]
    )
    n_bytes = sum(document.n_bytes for document in TRAIN + HELDOUT)
    assert seen.bytes_per_token == pytest.approx(
        n_bytes / (seen.train.n_tokens + seen.heldout.n_tokens)
    )


def test_the_first_documents_are_shown_token_by_token_with_their_end():
    shown = look(TRAIN, HELDOUT).shown[0]
    assert shown.source == TRAIN[0].source
    assert "".join(token.text for token in shown.tokens[:-1]) == TRAIN[0].text
    assert [token.is_eos for token in shown.tokens] == [False] * (len(shown.tokens) - 1) + [True]


def test_a_long_document_is_shown_at_both_ends():
    long = Document("long", text=" ".join(f"Step {number}." for number in range(2_000)), story=99)
    shown = look([long, *TRAIN], HELDOUT).shown[0]
    assert shown.n_tokens > 5_000
    assert len(shown.tokens) < 500
    assert shown.tokens[-1].is_eos


def test_the_mask_of_a_conversation_is_shown_and_counted():
    said = (Message("user", "Who are you?"), Message("assistant", "Nobody at all."))
    train = [
        Document("c", kind="chat", messages=(*said, Message("user", name)), story=number)
        for number, name in enumerate(NAMES)
    ]
    seen = look(train, [dataclasses.replace(train[0], story=99)], "chat", Speakers())
    shown = seen.shown[0].tokens
    assert "".join(token.text for token in shown if token.trained) == " Nobody at all.\n"
    assert seen.train.n_trained == 20 * sum(token.trained for token in shown)


def test_documents_longer_than_the_context_are_counted_with_all_their_parts():
    parts = [
        dataclasses.replace(tale(1), begins=number == 0, ends=number == 4, scene=number, story=50)
        for number in range(5)
    ]
    one = len(ENCODER.encode(parts[1], None).ids)
    assert look([*parts, tale(2)], HELDOUT, context_length=3 * one).n_over_context == 1
    assert look([*parts, tale(2)], HELDOUT, context_length=6 * one).n_over_context == 0


def test_every_reason_is_given_at_once():
    untrained = Message("assistant", "Never this.", trained=False)
    chat = Document("c.jsonl:1", kind="chat", messages=(Message("user", "Hi."), untrained))
    stranger = dataclasses.replace(tale(3), source="novel.txt")
    seen = look([chat, stranger], [tale(3)], "chat", Speakers())
    with pytest.raises(CorpusError) as caught:
        seen.require("my corpus")
    assert "my corpus must not be trained on, 2 reasons: " in caught.value.message
    assert "formats are mixed up: 2 document(s) are not of kind chat" in caught.value.message
    assert "1 held-out part(s) stand in the training side too" in caught.value.message


def test_nothing_to_learn_is_refused_for_each_side():
    untrained = Message("assistant", "Never this.", trained=False)
    chats = [
        Document(f"c:{name}", kind="chat", messages=(Message("user", name), untrained))
        for name in NAMES
    ]
    refusals = look(chats[:15], chats[15:], "chat", Speakers()).refusals
    assert refusals[0] == "the training side has no token to learn"
    assert refusals[1] == "the held-out side has no token to learn"


def test_an_end_of_text_inside_a_story_is_refused():
    parts = [
        dataclasses.replace(
            tale(number), begins=number == 0, ends=number == 1, scene=number, story=7
        )
        for number in range(4)
    ]
    (refusal,) = look(parts, HELDOUT).refusals
    assert "end-of-text stands in the middle of 1 stories, after Bo.txt" in refusal


def test_chunks_of_longer_texts_are_refused():
    chunks = [dataclasses.replace(tale(n), text=tale(n).text[:-8]) for n in range(15)]
    (refusal,) = look(chunks, HELDOUT).refusals
    assert "15 of 17 documents end in mid-sentence" in refusal


@pytest.mark.parametrize("end", [".", "?", "!”", "…", ".)", "*", "the end—"])
def test_the_ends_that_stories_have_are_no_chunks(end):
    told = [dataclasses.replace(tale(n), text=tale(n).text[:-1] + end) for n in range(15)]
    assert look(told, HELDOUT).refusals == ()


def test_a_held_out_part_that_is_quoted_in_training_is_a_leak():
    quoting = dataclasses.replace(tale(5), text=f"{tale(5).text} {HELDOUT[0].text}")
    (refusal,) = look([*TRAIN[:5], quoting], HELDOUT).refusals
    assert f"({HELDOUT[0].source} for one)" in refusal


def test_special_tokens_in_the_text_and_foreign_letters_are_warned_of():
    odd = dataclasses.replace(tale(1), text=f"{tale(1).text} {EOS} <|im_end|>.")
    special, *letters = look([odd, *TRAIN[2:]], HELDOUT).warnings
    assert special.startswith("1 document(s) hold the text of a special token")
    assert letters == [
        f"{unknown}: the base hardly knows them and will write them badly"
        for unknown in ("Cyrillic letters", "CJK letters", "Punctuation and symbols")
    ]
