"""Faults of a corpus that ruin a fine-tune, each found in the documents themselves."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from lmft.corpus.documents import Document, Kind
from lmft.corpus.kinds import TALK, TEXT
from lmft.corpus.overlap import shared_share
from lmft.corpus.split import LEAK_SHARE

Side = Callable[[], Iterable[Document]]
"""One side of a corpus; it can be gone through more than once."""

# From so many stories on, half of them ending in mid-sentence means that they are chunks.
_ENOUGH_STORIES = 5
_SENTENCE_END = re.compile(r"[.!?:;…\"'”’»)\]}*_—–。！？」』-]\Z")
_SPECIAL = re.compile(r"<\|[a-z_]{2,20}\|>|</?s>|\[/?INST\]|<(?:start|end)_of_turn>|<[be]os>")


class Checks:
    """Looks at each document as it streams by, then says what is wrong with all of them.

    Attributes:
        n_special: documents whose text holds the name of a special token.
    """

    def __init__(self, kind: Kind) -> None:
        self._kinds = TEXT if kind in TEXT else TALK if kind in TALK else (kind,)
        self._kind = kind
        self._strangers: list[str] = []
        self._n_stories = self._n_cut_off = 0
        self._cut_off = ""
        # Scene in which a story of several parts ended, and the last scene it has.
        self._ended: dict[int, tuple[int, str]] = {}
        self._last_scene: dict[int, int] = {}
        self.n_special = 0

    def see(self, document: Document) -> None:
        if document.kind not in self._kinds:
            self._strangers.append(document.source)
        self.n_special += _SPECIAL.search(document.words) is not None
        if not (document.begins and document.ends):
            last = self._last_scene.get(document.story, -1)
            self._last_scene[document.story] = max(last, document.scene)
            if document.ends:
                self._ended.setdefault(document.story, (document.scene, document.source))
        if document.ends and document.text:
            self._n_stories += 1
            if not _SENTENCE_END.search(document.text.rstrip()):
                self._n_cut_off += 1
                self._cut_off = self._cut_off or document.source

    def refusals(self) -> list[str]:
        found = []
        if self._strangers:
            found.append(
                f"formats are mixed up: {len(self._strangers)} document(s) are not of kind "
                f"{self._kind}, {self._strangers[0]} for one"
            )
        going_on = [
            source
            for story, (scene, source) in self._ended.items()
            if scene < self._last_scene[story]
        ]
        if going_on:
            found.append(
                f"end-of-text stands in the middle of {len(going_on)} stories, "
                f"after {going_on[0]} for one"
            )
        if self._n_stories >= _ENOUGH_STORIES and self._n_cut_off > self._n_stories / 2:
            found.append(
                f"{self._n_cut_off} of {self._n_stories} documents end in mid-sentence "
                f"({self._cut_off} for one): they look like chunks of longer texts, and "
                "end-of-text would be learnt in mid-scene; give the whole texts"
            )
        return found


def leaks(train: Side, heldout: Side) -> list[str]:
    """Whether held-out text stands in the training side too, word for word."""
    shares = shared_share(
        (document.words for document in heldout()), (document.words for document in train())
    )
    leaking = [
        document.source
        for document, share in zip(heldout(), shares, strict=True)
        if share > LEAK_SHARE
    ]
    if not leaking:
        return []
    return [
        f"{len(leaking)} held-out part(s) stand in the training side too ({leaking[0]} for "
        "one): the held-out loss would mean nothing"
    ]
