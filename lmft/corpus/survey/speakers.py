"""Who speaks, and how much."""

from __future__ import annotations

from lmft.corpus.cast import SpeakerCount
from lmft.corpus.documents import Document


def count_speakers(document: Document, counts: dict[str, SpeakerCount]) -> None:
    """Add the document's turns to the speakers' counts."""
    for turn in document.messages:
        if turn.name is not None:
            before = counts.get(turn.name, SpeakerCount(0, 0))
            n_bytes = before.n_bytes + len(turn.content.encode())
            counts[turn.name] = SpeakerCount(before.turns + 1, n_bytes)
