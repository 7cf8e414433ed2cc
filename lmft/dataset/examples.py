"""Which documents a person is shown, picked while all of them stream by."""

from __future__ import annotations

import dataclasses

from lmft.corpus.documents import Document
from lmft.dataset.preference import conversations

N_EXAMPLES = 3


class Examples:
    """The first document's beginning and end, so that end-of-text is seen, then other documents."""

    def __init__(self) -> None:
        self._picked: list[Document] = []
        self._end_is_seen = False

    def see(self, document: Document) -> None:
        picked = self._picked
        if not picked or (document.story != picked[-1].story and len(picked) < N_EXAMPLES):
            picked.append(document)
            self._end_is_seen = self._end_is_seen or document.ends
        elif document.ends and document.story == picked[0].story and not self._end_is_seen:
            picked.append(dataclasses.replace(document, source=f"{document.source}, its end"))
            self._end_is_seen = True

    def documents(self) -> list[Document]:
        """About N_EXAMPLES; of a preference both conversations."""
        shown: list[Document] = []
        for document in self._picked:
            if len(shown) < N_EXAMPLES:
                shown += conversations(document)
        return shown
