"""Train and held-out, by document: a document is never on both sides."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from lmft.corpus.documents import Document
from lmft.errors import CorpusError

MIN_TRAIN_BYTES = 2_000


def content_hash(document: Document) -> str:
    """sha256 of what is learnt from the document; the source's name does not matter."""
    digest = hashlib.sha256()
    for message in document.messages:
        digest.update(f"{message.role}\x1f{message.content}\x1e".encode())
    digest.update(document.text.encode())
    return digest.hexdigest()


def split(documents: Sequence[Document], share: float) -> tuple[list[Document], list[Document]]:
    """Hold out about `share` of the bytes, chosen by content hash: same text, same split.

    Raises:
        CorpusError: too little text for both sides.
    """
    total = sum(document.n_bytes for document in documents)
    held: set[int] = set()
    held_bytes = 0
    by_hash = sorted(range(len(documents)), key=lambda index: content_hash(documents[index]))
    for index in by_hash:
        if held and held_bytes >= share * total:
            break
        # The longest document of a small corpus must not empty the training side.
        if held_bytes + documents[index].n_bytes <= max(2 * share, 0.3) * total:
            held.add(index)
            held_bytes += documents[index].n_bytes
    if not held or total - held_bytes < MIN_TRAIN_BYTES:
        raise CorpusError(
            f"The corpus is too small to split: {len(documents)} document(s), {total} bytes; "
            f"lmft needs at least 2 documents (or parts) and {MIN_TRAIN_BYTES} bytes to train on.",
            "Add text; results get interesting from about 50 KB.",
        )
    train = [document for index, document in enumerate(documents) if index not in held]
    heldout = [document for index, document in enumerate(documents) if index in held]
    return train, heldout
