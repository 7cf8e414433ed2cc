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

    Documents of one content go to one side together.

    Raises:
        CorpusError: too little text for both sides.
    """
    hashes = [content_hash(document) for document in documents]
    sizes = dict.fromkeys(sorted(hashes), 0)
    for digest, document in zip(hashes, documents, strict=True):
        sizes[digest] += document.n_bytes
    total = sum(sizes.values())
    # The longest document of a small corpus must not empty the training side.
    limit = min(max(2 * share, 0.3), 0.7) * total
    held: set[str] = set()
    held_bytes = 0
    for digest, size in sizes.items():
        if held and held_bytes >= share * total:
            break
        if held_bytes + size <= limit:
            held.add(digest)
            held_bytes += size
    if not held and len(sizes) > 1:
        # All are long: then the shortest is the one to miss least.
        held = {min(sizes, key=sizes.__getitem__)}
        held_bytes = min(sizes.values())
    if not held or total - held_bytes < MIN_TRAIN_BYTES:
        raise CorpusError(
            f"The corpus is too small to split: {len(documents)} document(s), {total} bytes; "
            f"lmft needs at least 2 documents (or parts) and {MIN_TRAIN_BYTES} bytes to train on.",
            "Add text; results get interesting from about 50 KB.",
        )
    sides = list(zip(hashes, documents, strict=True))
    train = [document for digest, document in sides if digest not in held]
    heldout = [document for digest, document in sides if digest in held]
    return train, heldout
