"""Documents to dense blocks (N, T): no padding, no attention mask, nothing dropped."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lmft.dataset.encode import Encoded

IGNORED = -100
# A block reads at most this part of its tokens again, to begin where a paragraph does.
_REREAD_PART = 3

Places = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Blocks:
    """Attributes:
    ids_NT: token ids. labels_NT: the same, with -100 where no loss counts.
    segments_NT: the number, rising from 0 in each block, of the segment that a token is in:
        a document, or what of it is in the block. Attention stays within a segment.
    """

    ids_NT: npt.NDArray[np.int32]
    labels_NT: npt.NDArray[np.int32]
    segments_NT: npt.NDArray[np.int32]

    @property
    def n_tokens(self) -> int:
        return int(self.ids_NT.size)

    @property
    def n_trained_tokens(self) -> int:
        return int((self.labels_NT != IGNORED).sum())


def pack(
    documents: Iterable[Encoded], block_tokens: int, start_id: int, *, always_start: bool = False
) -> Blocks:
    """Lay the documents end to end and cut blocks of T = min(block_tokens, total) tokens.

    Before a document stands `start_id`, so that its first word is learnt too. A block begins
    with a document, or where a paragraph or a turn does, or where a sentence does if that is
    too far back: it reads again, without learning it again, what the block before had of it.
    So every trained token is a label exactly once, but for those that nothing comes before:
    the text before them was left out. The last block reaches back to be full. Blocks with
    nothing to learn are left out.

    Args:
        documents: each is copied and let go, so that an iterator is never held in whole.
        block_tokens: at least 2 (3 with `always_start`) are taken: one to read, one to learn.
        always_start: `start_id` begins every block and segment, in mid-document too, as it
            begins every prompt: for bases that know no text without it.

    Raises:
        ValueError: no token of any document is trained.
    """
    line = _lay_out(documents, start_id, always_start)
    length = min(max(block_tokens, 2 + always_start), len(line.ids))
    cuts = [
        cut for cut in _cuts(line, length, always_start) if line.trained[cut.done : cut.end].any()
    ]
    if not cuts:
        raise ValueError("no token would be trained")
    shape = (len(cuts), length)
    blocks = Blocks(*(np.zeros(shape, dtype=np.int32) for _ in range(3)))
    for cut, ids, labels, segments in zip(
        cuts, blocks.ids_NT, blocks.labels_NT, blocks.segments_NT, strict=True
    ):
        n_new = cut.end - cut.done
        # What is not of the line: a start token that the block has for itself.
        own = length - (cut.end - cut.begin)
        ids[:own] = start_id
        ids[own:] = line.ids[cut.begin : cut.end]
        labels[:] = IGNORED
        labels[-n_new:] = np.where(line.trained[cut.done : cut.end], ids[-n_new:], IGNORED)
        for start in line.starts_between(cut.begin + 1 - own, cut.end):
            segments[start - cut.begin + own :] += 1
    return blocks


class _Cut(NamedTuple):
    """A block's stretch of the line; the loss counts from `done` on."""

    begin: int
    done: int
    end: int


@dataclass(frozen=True)
class _Line:
    """All documents as one line of tokens; `starts` are the first tokens of segments."""

    ids: npt.NDArray[np.int32]
    trained: npt.NDArray[np.bool_]
    starts: Places
    paragraphs: Places
    sentences: Places

    def begin(self, done: int, max_reread: int) -> int:
        """Where the block starts whose first new token is `done`."""
        if _last(self.starts, done) == done:
            return done
        for places in (self.starts, self.paragraphs, self.sentences):
            place = _last(places, done - 1)
            if place is not None and done - place <= max_reread:
                return place
        return done - 1

    def starts_between(self, first: int, end: int) -> list[int]:
        """The starts in [first, end)."""
        lower, upper = np.searchsorted(self.starts, (first, end))
        found: list[int] = self.starts[lower:upper].tolist()
        return found


def _cuts(line: _Line, length: int, always_start: bool) -> Iterator[_Cut]:
    total, done = len(line.ids), 0
    while done < total:
        begin = min(line.begin(done, length // _REREAD_PART), total - length)
        # With a start token of its own a block has one token less of the line.
        own = always_start and _last(line.starts, begin) != begin
        end = begin + length - own
        if own and end == total - 1:
            begin, end = begin + 1, total
        yield _Cut(begin, done, end)
        done = end


def _lay_out(documents: Iterable[Encoded], start_id: int, always_start: bool) -> _Line:
    ids, trained = array("i"), array("b")
    starts, paragraphs, sentences = array("q"), array("q"), array("q")
    before: Encoded | None = None
    over_a_gap = False
    for document in documents:
        if before is None or not document.follows(before):
            over_a_gap = not document.begins
            starts.append(len(ids))
            if document.begins or always_start:
                ids.append(start_id)
                trained.append(False)
        _extend(paragraphs, document.starts + len(ids))
        _extend(sentences, document.sentences + len(ids))
        _extend(trained, document.trained)
        if over_a_gap and len(document.ids):
            # Nothing that is here leads to it.
            trained[len(ids)] = over_a_gap = False
        _extend(ids, document.ids)
        before = document
    segments = np.unique(np.asarray(starts))
    return _Line(
        np.asarray(ids),
        np.asarray(trained).view(np.bool_),
        segments[segments < len(ids)],
        np.asarray(paragraphs),
        np.asarray(sentences),
    )


def _extend(buffer: array[int], values: npt.NDArray[np.generic]) -> None:
    """An array grows in place, where a list of pieces would be there twice when joined."""
    buffer.frombytes(values.astype(buffer.typecode, copy=False).tobytes())


def _last(places: Places, at_most: int) -> int | None:
    """The last of the rising `places` that is not beyond `at_most`."""
    found = int(np.searchsorted(places, at_most, side="right")) - 1
    return int(places[found]) if found >= 0 else None
