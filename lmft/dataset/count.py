"""Exact tokens of documents, many at a time."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from lmft.corpus.documents import Document
from lmft.dataset.encode import Encoder
from lmft.dataset.preference import conversations
from lmft.format.contract import Speakers

_BATCH_BYTES = 4 << 20


class Counted(NamedTuple):
    """Tokens of a document, with what it starts and ends with, and how many the loss counts.

    A preference counts as both its conversations, in bytes too; `n_longest` is the tokens of
    the longer one.
    """

    document: Document
    n_tokens: int
    n_trained: int
    n_longest: int
    n_bytes: int


def count_tokens(
    documents: Iterable[Document], encoder: Encoder, speakers: Speakers | None
) -> Iterator[Counted]:
    """Each document with its tokens; only a few MB of them are held at once."""
    for batch in _batches(documents):
        if any(document.messages or document.chosen or document.retold for document in batch):
            yield from _counted_with_mask(batch, encoder, speakers)
        else:
            # Every token of a story is learnt, so counting them is enough.
            counts = encoder.count([document.text for document in batch])
            for document, count in zip(batch, counts, strict=True):
                n_trained = count + document.ends
                n_tokens = n_trained + document.begins
                yield Counted(document, n_tokens, n_trained, n_tokens, document.n_bytes)


def _counted_with_mask(
    batch: list[Document], encoder: Encoder, speakers: Speakers | None
) -> Iterator[Counted]:
    parts = [conversations(document) for document in batch]
    encoded = encoder.encode_all(itertools.chain.from_iterable(parts), speakers)
    for document, of_one in zip(batch, parts, strict=True):
        of_it = list(itertools.islice(encoded, len(of_one)))
        sizes = [len(one.ids) + one.begins for one in of_it]
        n_trained = sum(int(one.trained.sum()) for one in of_it)
        n_bytes = sum(one.n_bytes for one in of_it)
        yield Counted(document, sum(sizes), n_trained, max(sizes), n_bytes)


def _batches(documents: Iterable[Document]) -> Iterator[list[Document]]:
    batch: list[Document] = []
    size = 0
    for document in documents:
        batch.append(document)
        size += document.n_bytes
        if size > _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
