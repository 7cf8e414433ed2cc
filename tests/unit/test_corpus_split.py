"""Train and held-out: what may never happen to the sides."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lmft.corpus.documents import Document
from lmft.corpus.split import MIN_TRAIN_BYTES, hold_out, split_spool
from lmft.corpus.spool import Spool
from lmft.errors import CorpusError

relaxed = settings(deadline=None, max_examples=150)

# Groups of very different sizes, some of the same content.
groups = st.lists(
    st.tuples(st.sampled_from([bytes([letter]) for letter in b"abcdefgh"]), st.integers(1, 4_000)),
    min_size=1,
    max_size=30,
)
shares = st.floats(0.01, 0.5)


def chosen(made, share) -> list[bool]:
    hashes = np.array([[0, digest[0]] for digest, _ in made], dtype=np.uint64).reshape(-1, 2)
    sizes = np.array([size for _, size in made], dtype=np.int64)
    return hold_out(hashes, sizes, share).tolist()


def held_of(made, share) -> list[bool]:
    try:
        return chosen(made, share)
    except CorpusError:
        assume(False)
        raise


def side(made, held, which) -> list[tuple[bytes, int]]:
    return [group for group, is_held in zip(made, held, strict=True) if is_held == which]


@relaxed
@given(groups, shares)
def test_no_content_is_on_both_sides_and_both_have_some(made, share):
    held = held_of(made, share)
    train, heldout = side(made, held, False), side(made, held, True)
    assert heldout
    assert sum(size for _, size in train) >= MIN_TRAIN_BYTES
    assert not {digest for digest, _ in train} & {digest for digest, _ in heldout}


@relaxed
@given(groups, shares, st.randoms(use_true_random=False))
def test_the_choice_does_not_depend_on_the_order(made, share, random):
    before = sorted(side(made, held_of(made, share), True))
    random.shuffle(made)
    assert sorted(side(made, held_of(made, share), True)) == before


def test_about_the_wanted_share_of_the_bytes_is_held_out():
    made = [(bytes([number]), 900) for number in range(200)]
    for share in (0.05, 0.1, 0.5):
        assert sum(held_of(made, share)) == pytest.approx(share * 200, abs=1)


def test_two_groups_are_enough():
    assert sorted(chosen([(b"a", 9_000), (b"b", 9_000)], 0.1)) == [False, True]


@pytest.mark.parametrize(
    "made",
    [[], [(b"a", 50_000)], [(b"a", 50_000)] * 2, [(b"a", 900), (b"b", 900)]],
    ids=["nothing", "one document", "one document twice", "too few bytes"],
)
def test_too_small_is_said_with_both_numbers(made):
    with pytest.raises(CorpusError, match="too small to split") as caught:
        chosen(made, 0.1)
    assert f"{len(made)} document(s), " in caught.value.message
    assert f"{MIN_TRAIN_BYTES} bytes" in caught.value.message


def spooled(tmp_path, stories: int, scenes: int, parts: int) -> Spool:
    spool = Spool(tmp_path / "spool.jsonl")
    for story in range(stories):
        for scene in range(scenes):
            for part in range(parts):
                text = f"{story} {scene} {part} " * 60
                spool.add(Document("a", text=text, story=story, scene=scene))
    return spool


@pytest.mark.parametrize(
    ("shape", "split_by"),
    [((20, 3, 2), "document"), ((3, 20, 2), "scene"), ((1, 2, 30), "part")],
)
def test_the_largest_unit_of_which_there_are_enough_is_held_out_whole(tmp_path, shape, split_by):
    with spooled(tmp_path, *shape) as spool:
        held, found = split_spool(spool, 0.2)
        units = {"document": spool.stories, "scene": spool.scenes, "part": range(len(spool))}
        unit_of = units[split_by]
        assert found == split_by
        assert held
        held_units = {unit_of[index] for index in held}
        assert not held_units & {unit_of[i] for i in range(len(spool)) if i not in held}


def test_what_was_taken_back_is_on_neither_side(tmp_path):
    with spooled(tmp_path, 20, 1, 1) as spool:
        spool.take_back(15)
        held, _ = split_spool(spool, 0.3)
        assert max(held) < 15
        assert [index for index, _ in spool.documents()] == list(range(15))


def test_a_level_that_comes_nowhere_near_the_share_is_passed_over(tmp_path):
    with Spool(tmp_path / "spool.jsonl") as spool:
        for scene in range(60):
            text = f"{scene} of the novel " * 200
            spool.add(Document("novel", text=text, story=0, scene=scene))
        for note in range(1, 11):
            spool.add(Document("note", text=f"note {note}. " * 5, story=note))
        held, split_by = split_spool(spool, 0.1)
        assert split_by == "scene"
        held_bytes = sum(spool.sizes[index] for index in held)
        assert held_bytes == pytest.approx(0.1 * sum(spool.sizes), rel=0.5)
