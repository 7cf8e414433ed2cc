"""Preferences to token ids: each prompt with its preferred and with its rejected answer."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lmft.corpus.documents import Document
from lmft.dataset.blocks import IGNORED, Blocks
from lmft.dataset.encode import Encoder
from lmft.dataset.preference import conversations
from lmft.errors import CorpusError
from lmft.format.contract import Speakers

_SHOWN_SOURCES = 5


@dataclass(frozen=True)
class Answer:
    """A prompt and one answer as they are served: start token, turns, answer, end-of-text.

    Attributes:
        ids: (T,) token ids.
        scored: (T,) which of them are the answer; never the first.
    """

    ids: npt.NDArray[np.int32]
    scored: npt.NDArray[np.bool_]

    @property
    def prompt_tokens(self) -> int:
        return int(self.scored.argmax())


@dataclass(frozen=True)
class Pair:
    chosen: Answer
    rejected: Answer

    @property
    def longest(self) -> int:
        return max(len(self.chosen.ids), len(self.rejected.ids))


@dataclass(frozen=True)
class Pairs:
    """All pairs of one side of a corpus.

    Attributes:
        n_cut: pairs whose prompt lost its oldest turns, to fit.
    """

    pairs: tuple[Pair, ...]
    n_cut: int = 0

    def __len__(self) -> int:
        return len(self.pairs)

    @property
    def longest(self) -> int:
        return max((pair.longest for pair in self.pairs), default=0)

    def as_blocks(self, block_tokens: int) -> Blocks:
        """Both answers of every pair as rows (2 * N, T), filled up to T = `block_tokens`.

        What a step over them costs is planned as for any other blocks; rows 2n and 2n + 1 are
        pair n. Nothing is learnt from the filling.
        """
        answers = [answer for pair in self.pairs for answer in (pair.chosen, pair.rejected)]
        shape = len(answers), block_tokens
        ids_NT = np.zeros(shape, dtype=np.int32)
        labels_NT = np.full(shape, IGNORED, dtype=np.int32)
        for row, answer in enumerate(answers):
            length = len(answer.ids)
            ids_NT[row, :length] = answer.ids
            labels_NT[row, :length] = np.where(answer.scored, answer.ids, IGNORED)
        return Blocks(ids_NT, labels_NT, np.zeros(shape, dtype=np.int32))


@dataclass(frozen=True)
class PairSides:
    train: Pairs
    heldout: Pairs

    @property
    def longest(self) -> int:
        """Tokens of the longest answer with its prompt."""
        return max(self.train.longest, self.heldout.longest)


def encode_pairs(
    documents: Iterable[Document], encoder: Encoder, speakers: Speakers | None, max_tokens: int
) -> Pairs:
    """Every preference as a pair of at most `max_tokens` tokens an answer.

    A longer one loses turns of its prompt, the oldest first, but neither a system message in
    front, nor the last turn, nor anything of an answer.

    Raises:
        CorpusError: pairs that are too long even so.
    """
    pairs, too_long, n_cut = [], [], 0
    for document in documents:
        pair = _encode(document, encoder, speakers)
        n_cut += pair.longest > max_tokens
        while pair.longest > max_tokens:
            shorter = _without_oldest_turn(document)
            if shorter is None:
                too_long.append(document.source)
                break
            document = shorter
            pair = _encode(document, encoder, speakers)
        pairs.append(pair)
    if too_long:
        _refuse(too_long, max_tokens)
    return Pairs(tuple(pairs), n_cut)


def chosen_conversations(documents: Iterable[Document]) -> list[Document]:
    """What the held-out loss is measured on: prompt and preferred answer, which alone counts."""
    return [conversations(document)[0] for document in documents]


def _encode(document: Document, encoder: Encoder, speakers: Speakers | None) -> Pair:
    chosen, rejected = (
        Answer(
            np.concatenate([[encoder.start_id], encoded.ids]).astype(np.int32),
            np.concatenate([[False], encoded.trained]),
        )
        for encoded in encoder.encode_all(conversations(document), speakers)
    )
    return Pair(chosen, rejected)


def _without_oldest_turn(document: Document) -> Document | None:
    turns = document.messages
    n_system = next((at for at, turn in enumerate(turns) if turn.role != "system"), len(turns))
    if len(turns) - n_system < 2:
        return None
    kept = turns[:n_system] + turns[n_system + 1 :]
    return dataclasses.replace(document, messages=kept)


def _refuse(sources: Sequence[str], max_tokens: int) -> None:
    shown = ", ".join(sources[:_SHOWN_SOURCES])
    rest = len(sources) - _SHOWN_SOURCES
    more = f" and {rest} more" if rest > 0 else ""
    raise CorpusError(
        f"{len(sources)} preference(s) are longer than {max_tokens} tokens with their last turn "
        f"and answer alone: {shown}{more}.",
        "Shorten them, or take a base that can look back further.",
    )
