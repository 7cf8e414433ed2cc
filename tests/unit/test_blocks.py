"""Documents to dense blocks: each token learnt once, no document sees another, nothing padded."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lmft.dataset.blocks import IGNORED, Blocks, pack
from lmft.dataset.encode import Encoded

relaxed = settings(deadline=None, max_examples=200)
START = 7


@st.composite
def corpora(draw) -> list[Encoded]:
    """Parts of stories, some missing; each token has an id of its own, so that a count proves."""
    documents, token = [], 1000
    for story in range(draw(st.integers(1, 5))):
        n_parts = draw(st.integers(1, 3))
        for part in sorted(draw(st.sets(st.integers(0, n_parts - 1), min_size=1))):
            length = draw(st.integers(0, 20))
            places = st.sets(st.integers(0, length - 1)) if length else st.just(set())
            starts, sentences = (np.array(sorted(draw(places)), dtype=np.int64) for _ in range(2))
            trained = draw(
                st.just([True] * length) | st.lists(st.booleans(), min_size=length, max_size=length)
            )
            documents.append(
                Encoded(
                    np.arange(token, token + length, dtype=np.int32),
                    np.array(trained, dtype=bool),
                    starts,
                    sentences,
                    length,
                    story,
                    part,
                    begins=part == 0,
                    ends=part == n_parts - 1,
                )
            )
            token += length
    return documents


@dataclass
class Line:
    """What `pack` cuts up, told plainly."""

    ids: list[int]
    segments: list[int]
    learnt: list[int]


def laid_out(documents: list[Encoded], always_start: bool) -> Line:
    line = Line([], [], [])
    segment, told = -1, {}
    for document in documents:
        goes_on = not document.begins and told.get(document.story) == document.part - 1
        told[document.story] = document.part
        tokens, flags = document.ids.tolist(), document.trained.tolist()
        if not goes_on:
            segment += 1
            led_to = document.begins
            if document.begins or always_start:
                line.ids.append(START)
                line.segments.append(segment)
        for token, flag in zip(tokens, flags, strict=True):
            line.ids.append(token)
            line.segments.append(segment)
            if flag and led_to:
                line.learnt.append(token)
            led_to = True
    return line


@relaxed
@given(corpora(), st.integers(1, 40), st.booleans())
@example([], 8, False)
def test_blocks_are_stretches_of_the_documents_in_which_each_token_is_learnt_once(
    documents, block_tokens, always_start
):
    line = laid_out(documents, always_start)
    if not line.learnt:
        with pytest.raises(ValueError, match="no token would be trained"):
            pack(documents, block_tokens, START, always_start=always_start)
        return
    blocks = pack(iter(documents), block_tokens, START, always_start=always_start)
    length = min(max(block_tokens, 3 if always_start else 2), len(line.ids))
    assert blocks.ids_NT.shape == blocks.labels_NT.shape == blocks.segments_NT.shape
    assert blocks.ids_NT.shape[1] == length
    is_label = blocks.labels_NT != IGNORED
    assert blocks.labels_NT[is_label].tolist() == line.learnt
    assert (blocks.labels_NT[is_label] == blocks.ids_NT[is_label]).all()
    assert (blocks.n_tokens, blocks.n_trained_tokens) == (blocks.ids_NT.size, len(line.learnt))
    assert not is_label[:, 0].any()
    # A label is predicted from a token of its own document.
    rows, columns = np.nonzero(is_label)
    segments = blocks.segments_NT
    assert (segments[rows, columns] == segments[rows, columns - 1]).all()
    end_before = 0
    for row in range(len(blocks.ids_NT)):
        begin, own = stretch_of(blocks, row, line)
        here = slice(begin, begin + length - own)
        assert blocks.ids_NT[row].tolist() == [START] * own + line.ids[here]
        assert is_consecutive(segments[row])
        assert np.array_equal(np.diff(segments[row, own:]) != 0, np.diff(line.segments[here]) != 0)
        if always_start:
            assert blocks.ids_NT[row, 0] == START
        if own:
            # With it the document goes on; it stands alone before a document with its own.
            assert segments[row, 1] == (line.ids[begin] == START)
        if here.stop != len(line.ids):
            assert not (own and is_label[row, 1])
            reread = [token for token in line.ids[begin:end_before] if token != START]
            assert len(reread) <= max(1, length // 3)
        end_before = here.stop


def stretch_of(blocks: Blocks, row: int, line: Line) -> tuple[int, int]:
    """Where in the line a block begins, and how many tokens it has before that."""
    column = int(np.flatnonzero(blocks.ids_NT[row] != START)[0])
    place = line.ids.index(int(blocks.ids_NT[row, column])) - column
    if place >= 0 and line.ids[place] == blocks.ids_NT[row, 0]:
        return place, 0
    return place + 1, 1


def is_consecutive(segments: np.ndarray) -> bool:
    return segments[0] == 0 and set(np.diff(segments).tolist()) <= {0, 1}


def plain(n_tokens: int, starts=(0,), sentences=(), first: int = 100) -> Encoded:
    return Encoded(
        np.arange(first, first + n_tokens, dtype=np.int32),
        np.ones(n_tokens, dtype=bool),
        np.array(starts, dtype=np.int64),
        np.array(sentences, dtype=np.int64),
        n_tokens,
    )


def part(number: int, story: int, *, begins: bool = False) -> Encoded:
    ids = np.array([number], dtype=np.int32)
    nowhere = np.zeros(0, dtype=np.int64)
    return Encoded(ids, np.array([True]), nowhere, nowhere, 1, story, number % 10, begins)


def test_a_document_begins_with_a_start_token_that_is_not_learnt():
    blocks = pack([plain(2), plain(3, first=200)], 64, START)
    assert blocks.ids_NT.tolist() == [[START, 100, 101, START, 200, 201, 202]]
    assert blocks.labels_NT.tolist() == [[IGNORED, 100, 101, IGNORED, 200, 201, 202]]
    assert blocks.segments_NT.tolist() == [[0, 0, 0, 1, 1, 1, 1]]


def test_a_block_begins_where_a_paragraph_does():
    blocks = pack([plain(29, starts=[0, 3, 9, 15, 21])], 12, START)
    assert blocks.ids_NT[:, 0].tolist() == [START, 109, 117]
    assert blocks.labels_NT[1].tolist() == [IGNORED] * 2 + list(range(111, 121))


def test_a_block_begins_with_a_sentence_where_no_paragraph_is_near():
    blocks = pack([plain(29, starts=[0], sentences=[2, 8, 17])], 12, START)
    assert blocks.ids_NT[:, 0].tolist() == [START, 108, 117]


def test_a_block_begins_with_a_document_before_it_begins_with_a_paragraph():
    near = plain(20, starts=[0, 2], first=200)
    blocks = pack([plain(8), near], 12, START)
    assert blocks.ids_NT[1, :3].tolist() == [START, 200, 201]
    assert blocks.labels_NT[1, :4].tolist() == [IGNORED] * 3 + [202]
    far = pack([plain(5), near], 12, START)
    assert far.ids_NT[1, 0] == 202, "the document is more than a third of a block back"


def test_a_document_that_fills_a_block_begins_the_next_one_without_reading_again():
    blocks = pack([plain(11), plain(11, first=200)], 12, START)
    assert blocks.ids_NT[:, 0].tolist() == [START, START]
    assert not blocks.segments_NT.any()


def test_with_a_beginning_of_text_a_block_in_mid_document_begins_with_it_too():
    blocks = pack([plain(20, starts=[0, 8])], 10, START, always_start=True)
    assert blocks.ids_NT.tolist() == [
        [START, *range(100, 109)],
        [START, *range(108, 117)],
        [START, *range(111, 120)],
    ]
    assert blocks.labels_NT[1].tolist() == [IGNORED] * 2 + list(range(109, 117))
    assert blocks.labels_NT[2].tolist() == [IGNORED] * 7 + [117, 118, 119]
    assert not blocks.segments_NT.any()


def test_a_step_over_missing_text_is_not_learnt():
    def learnt(*documents: Encoded) -> list[bool]:
        blocks = pack([*documents, plain(2)], 64, START)
        return [document.ids[0] in blocks.labels_NT for document in documents]

    first, second, third = part(10, 1, begins=True), part(11, 1), part(12, 1)
    other = part(20, 2, begins=True)
    assert learnt(first, second, third, other) == [True] * 4
    assert learnt(first, third, other) == [True, False, True], "a part is missing"
    assert learnt(other, second) == [True, False], "the beginning is missing"


def test_what_follows_missing_text_is_a_segment_of_its_own():
    documents = [part(10, 1, begins=True), part(12, 1), part(13, 1)]
    assert pack(documents, 64, START).ids_NT.tolist() == [[START, 10, 12, 13]]
    assert pack(documents, 64, START).segments_NT.tolist() == [[0, 0, 1, 1]]
    blocks = pack(documents, 64, START, always_start=True)
    assert blocks.ids_NT.tolist() == [[START, 10, START, 12, 13]]
    assert blocks.labels_NT.tolist() == [[IGNORED, 10, IGNORED, IGNORED, 13]]


def test_the_last_block_reaches_back_for_context_but_not_for_loss():
    blocks = pack([plain(4)], 3, START)
    assert blocks.ids_NT.tolist() == [[START, 100, 101], [101, 102, 103]]
    assert blocks.labels_NT.tolist() == [[IGNORED, 100, 101], [IGNORED, 102, 103]]


def test_blocks_with_nothing_to_learn_are_left_out():
    document = plain(8)
    document.trained[2:5] = False
    assert pack([document], 3, START).ids_NT[:, -1].tolist() == [101, 105, 107]
