"""Train and held-out: what may never happen to the sides."""

from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lmft.corpus.documents import Document, Message
from lmft.corpus.split import MIN_TRAIN_BYTES, content_hash, split
from lmft.errors import CorpusError

relaxed = settings(deadline=None, max_examples=150)

# Documents of very different lengths, some of the same content.
documents = st.lists(
    st.tuples(st.sampled_from("abcdefgh"), st.integers(1, 4_000)).map(
        lambda made: Document(made[0], text=made[0] * made[1])
    ),
    min_size=1,
    max_size=30,
)
shares = st.floats(0.01, 0.5)


def sides(made, share):
    try:
        return split(made, share)
    except CorpusError:
        assume(False)


def contents(made) -> set[str]:
    return {document.text for document in made}


@relaxed
@given(documents, shares)
def test_no_content_is_on_both_sides_and_none_is_lost(made, share):
    train, heldout = sides(made, share)
    assert train
    assert heldout
    assert not contents(train) & contents(heldout)
    assert sorted(map(content_hash, train + heldout)) == sorted(map(content_hash, made))
    assert sum(document.n_bytes for document in train) >= MIN_TRAIN_BYTES


@relaxed
@given(documents, shares, st.randoms(use_true_random=False))
def test_the_choice_does_not_depend_on_the_order_or_the_names(made, share, random):
    _, heldout = sides(made, share)
    shuffled = [Document("renamed", text=document.text) for document in made]
    random.shuffle(shuffled)
    assert contents(split(shuffled, share)[1]) == contents(heldout)


@relaxed
@given(documents, shares)
def test_only_what_is_too_small_is_refused(made, share):
    # Whatever two contents there are, the longer one alone must be enough to train on.
    sizes = sorted(sum(d.n_bytes for d in made if d.text == text) for text in contents(made))
    assume(len(sizes) > 1)
    assume(sum(sizes) * 0.3 >= MIN_TRAIN_BYTES)
    assume(sizes[-1] >= MIN_TRAIN_BYTES)
    split(made, share)


def test_about_the_wanted_share_of_the_bytes_is_held_out():
    made = [Document("x", text=f"{number:03}" * 300) for number in range(200)]
    for share in (0.05, 0.1, 0.5):
        train, heldout = split(made, share)
        assert len(heldout) == pytest.approx(share * 200, abs=1)
        assert len(train) == 200 - len(heldout)


def test_both_sides_keep_the_order_of_the_documents():
    made = [Document(str(number), text=f"{number:03}" * 300) for number in range(50)]
    for side in split(made, 0.2):
        assert [int(document.source) for document in side] == sorted(
            int(document.source) for document in side
        )


def test_two_documents_are_enough():
    train, heldout = split([Document("a", text="a" * 9_000), Document("b", text="b" * 9_000)], 0.1)
    assert len(train) == len(heldout) == 1


@pytest.mark.parametrize(
    "made",
    [
        [],
        [Document("one", text="a" * 50_000)],
        [Document("twice", text="a" * 50_000)] * 2,
        [Document("a", text="a" * 900), Document("b", text="b" * 900)],
    ],
    ids=["nothing", "one document", "one document twice", "too few bytes"],
)
def test_too_small_is_said_with_both_numbers(made):
    with pytest.raises(CorpusError, match="too small to split") as caught:
        split(made, 0.1)
    assert f"{len(made)} document(s), " in caught.value.message
    assert f"{MIN_TRAIN_BYTES} bytes" in caught.value.message


def test_the_hash_is_of_the_content_and_not_of_its_borders():
    def chat(*contents):
        return Document("c", messages=tuple(Message("user", content) for content in contents))

    assert content_hash(Document("a", text="x")) == content_hash(Document("b", text="x"))
    assert content_hash(chat("ab", "c")) != content_hash(chat("a", "bc"))
    assert content_hash(chat("a")) != content_hash(
        Document("c", messages=(Message("assistant", "a"),))
    )
