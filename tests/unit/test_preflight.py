"""What is looked at before training, and what is refused, with the real tokenizer."""

from __future__ import annotations

import dataclasses

import pytest

from lmft.corpus.documents import Document, Message
from lmft.corpus.info import CorpusInfo, PersonInfo, SideInfo
from lmft.dataset.blocks import IGNORED, pack
from lmft.dataset.encode import Encoder
from lmft.dataset.preflight import ShownToken, preflight
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
        n_documents=len(train) + len(heldout),
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
    assert seen.train.n_trained == sum(counted)
    # The token that each starts with is read, not learnt.
    assert seen.train.n_tokens == sum(counted) + len(TRAIN)
    assert seen.longest_tokens == 1 + max(
        counted + [len(ENCODER.encode(document, None).ids) for document in HELDOUT]
    )
    n_bytes = sum(document.n_bytes for document in TRAIN + HELDOUT)
    assert seen.bytes_per_token == pytest.approx(
        n_bytes / (seen.train.n_tokens + seen.heldout.n_tokens)
    )


def test_the_first_documents_are_shown_token_by_token_with_their_start_and_end():
    shown = look(TRAIN, HELDOUT).shown[0]
    start, *told, end = shown.tokens
    assert shown.source == TRAIN[0].source
    assert "".join(token.text for token in told) == TRAIN[0].text
    assert all(token.trained and not token.is_start and not token.is_eos for token in told)
    assert start == ShownToken(EOS, trained=False, is_start=True)
    assert end == ShownToken(EOS, trained=True, is_eos=True)
    blocks = pack(list(ENCODER.encode_all(TRAIN[:1], None)), 4096, ENCODER.start_id)
    assert [ENCODER.piece(token) for token in blocks.ids_NT[0]] == [t.text for t in shown.tokens]
    assert (blocks.labels_NT[0] != IGNORED).tolist() == [t.trained for t in shown.tokens]


def test_what_an_earlier_branch_tells_too_is_not_counted_as_learnt():
    branch = dataclasses.replace(tale(3), retold=((0, 100),))
    with_branch, without = look([*TRAIN, branch], HELDOUT), look(TRAIN, HELDOUT)
    n_learnt = with_branch.train.n_trained - without.train.n_trained
    assert n_learnt == int(ENCODER.encode(branch, None).trained.sum())
    assert n_learnt < len(ENCODER.encode(branch, None).ids)


def test_a_part_in_mid_story_is_shown_without_a_start():
    novel = parts_of(0, 5)
    (shown,) = look(novel[1:], HELDOUT).shown[:1]
    assert not any(token.is_start for token in shown.tokens)
    assert "".join(token.text for token in shown.tokens) == novel[1].text


def parts_of(story: int, n_parts: int, *, ends_after: int | None = None) -> list[Document]:
    return [
        dataclasses.replace(
            tale(number),
            source=f"novel {story}",
            begins=number == 0,
            ends=number == (n_parts - 1 if ends_after is None else ends_after),
            story=story,
            part=number,
        )
        for number in range(n_parts)
    ]


def test_of_a_long_story_the_beginning_and_the_end_are_shown():
    novels = [*parts_of(0, 5), *parts_of(1, 5), *parts_of(2, 5)]
    shown = look(novels, HELDOUT).shown
    assert [one.source for one in shown] == ["novel 0", "novel 0, its end", "novel 1"]
    assert [one.tokens[-1].is_eos for one in shown] == [False, True, False]
    assert "".join(token.text for token in shown[1].tokens[:-1]) == tale(4).text


def test_a_story_whose_end_is_held_out_is_shown_without_it():
    novel = parts_of(0, 5)
    assert [one.source for one in look(novel[:4], novel[4:]).shown] == ["novel 0"]


def test_secrets_are_shown_masked_and_nothing_is_lost_around_them():
    text = f"Write to ada.lovelace@analytical.org, she said. {tale(1).text}"
    shown = look([dataclasses.replace(tale(1), text=text), *TRAIN[2:]], HELDOUT).shown[0]
    said = "".join(token.text for token in shown.tokens[1:-1])
    assert said == f"Write to {'•' * 27}, she said. {tale(1).text}"
    encoded = ENCODER.encode(dataclasses.replace(tale(1), text=text), None)
    assert shown.n_tokens == 1 + len(encoded.ids)
    assert shown.tokens[-1].text == EOS


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
        dataclasses.replace(tale(1), begins=number == 0, ends=number == 4, part=number, story=50)
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


def preference(number: int) -> Document:
    prompt = (
        Message("user", f"Who is {NAMES[number]}?"),
        Message("assistant", "Whom do you mean?"),
        Message("user", "The one in the wood."),
    )
    return Document(
        f"p:{number}",
        kind="preference",
        messages=prompt,
        chosen=(Message("assistant", tale(number).text),),
        rejected=(Message("assistant", "No."),),
        story=number,
    )


def test_a_preference_is_two_conversations_of_which_the_answers_are_learnt():
    pairs = [preference(number) for number in range(20)]
    seen = look(pairs[:17], pairs[17:], "preference", Speakers())
    assert seen.refusals == ()
    preferred, rejected = seen.shown[:2]
    assert [one.source for one in (preferred, rejected)] == ["p:0, preferred", "p:0, rejected"]
    learnt = ["".join(t.text for t in one.tokens if t.trained) for one in (preferred, rejected)]
    assert learnt == [f" {tale(0).text}\n{EOS}", f" No.\n{EOS}"]
    first = look(pairs[:1], pairs[17:], "preference", Speakers())
    assert first.train.n_tokens == preferred.n_tokens + rejected.n_tokens
    assert first.train.n_trained == sum(t.trained for t in preferred.tokens + rejected.tokens)


def test_of_a_preference_the_longer_conversation_is_held_against_the_context():
    pairs = [preference(number) for number in range(3)]
    seen = look(pairs[:2], pairs[2:], "preference", Speakers())
    n_preferred, n_rejected = (one.n_tokens for one in seen.shown[:2])
    assert n_preferred <= seen.longest_tokens < n_preferred + n_rejected
    again = look(pairs[:2], pairs[2:], "preference", Speakers(), context_length=seen.longest_tokens)
    assert again.n_over_context == 0


def test_two_preferences_on_one_question_are_no_leak():
    one = preference(3)
    other = dataclasses.replace(
        one,
        messages=(Message("user", tale(9).text),),
        chosen=(Message("assistant", tale(4).text),),
    )
    asked_again = dataclasses.replace(
        other, chosen=(Message("assistant", tale(5).text),), source="again", story=9
    )
    assert look([one, other], [asked_again], "preference", Speakers()).refusals == ()


@pytest.mark.parametrize("held", [[], [3], [0, 1], [2, 3]])
def test_an_end_of_text_inside_a_story_is_refused_whichever_side_goes_on(held):
    novel = parts_of(7, 4, ends_after=1)
    train = [*TRAIN[4:], *(part for part in novel if part.part not in held)]
    heldout = [*HELDOUT, *(part for part in novel if part.part in held)]
    (refusal,) = look(train, heldout).refusals
    assert "end-of-text stands in the middle of 1 stories (novel 7 for one)" in refusal


def test_stories_that_end_once_or_break_off_are_sound():
    broken_off = [dataclasses.replace(part, ends=False) for part in parts_of(8, 4)]
    assert look([*parts_of(7, 4), *broken_off], HELDOUT).refusals == ()


def test_branches_that_are_stories_of_their_own_may_each_end():
    branches = [dataclasses.replace(tale(n), source="tree.json", scene=n) for n in range(15)]
    assert look(branches, HELDOUT).refusals == ()


def edged(before: str, after: str) -> list[Document]:
    return [
        dataclasses.replace(tale(n), text=before + tale(n).text[:-1] + after) for n in range(15)
    ]


def test_chunks_of_longer_texts_are_refused():
    (refusal,) = look(edged("and then ", " and"), HELDOUT).refusals
    assert "15 of 17 documents end in mid-sentence (Ada.txt for one), and 14 begin in" in refusal


@pytest.mark.parametrize(
    ("before", "after"),
    [
        *(("and then ", end) for end in (".", "?", "!”", "…", ".)", "*", "।", "۔", "。", "؟")),
        ("", "\n\nTHE END"),
        ("वह ", " वह"),
        ("", " and so"),
    ],
)
def test_one_odd_edge_is_a_manner_and_no_chunk(before, after):
    assert look(edged(before, after), HELDOUT).refusals == ()


def test_lyrics_without_capitals_and_marks_are_no_chunks():
    songs = [
        dataclasses.replace(tale(n), text=tale(n).text.lower().replace(".", "\n")[:-1])
        for n in range(15)
    ]
    assert look(songs, HELDOUT).refusals == ()


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
