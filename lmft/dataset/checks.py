"""Faults of a corpus that ruin a fine-tune, each found in the documents themselves."""

from __future__ import annotations

import re
from array import array

from lmft.corpus.documents import Document, Kind
from lmft.corpus.kinds import TALK, TEXT
from lmft.corpus.overlap import Side, leak_shares
from lmft.corpus.sentences import breaks_off, capitalises, goes_on
from lmft.corpus.split import WHOLE_SHARE

# From so many stories on, most of them starting and stopping in mid-sentence are chunks.
_ENOUGH_STORIES = 5
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
        self._n_ended = self._n_cut_off = self._n_begun = self._n_going_on = 0
        self._cut_off = ""
        # Stories and parts that end, as numbers: there may be a million.
        self._ended_stories, self._ended_parts = array("q"), array("q")
        # The last part of each story that has several, and where it comes from.
        self._last: dict[int, tuple[int, str]] = {}
        self.n_special = 0

    def see(self, document: Document) -> None:
        if document.kind not in self._kinds:
            self._strangers.append(document.source)
        self.n_special += _SPECIAL.search(document.words) is not None
        if document.ends:
            self._ended_stories.append(document.story)
            self._ended_parts.append(document.part)
        if document.part > self._last.get(document.story, (0, ""))[0]:
            self._last[document.story] = (document.part, document.source)
        if document.text:
            self._see_edges(document)

    def _see_edges(self, document: Document) -> None:
        """Chunks of a fixed length stop in mid-sentence, and all but the first start in one."""
        if document.begins:
            going_on = self._n_begun > 0 and goes_on(document.text)
            self._n_begun += 1
            self._n_going_on += going_on and capitalises(document.text)
        if document.ends:
            self._n_ended += 1
            if breaks_off(document.text):
                self._n_cut_off += 1
                self._cut_off = self._cut_off or document.source

    def refusals(self) -> list[str]:
        found = []
        if self._strangers:
            found.append(
                f"formats are mixed up: {len(self._strangers)} document(s) are not of kind "
                f"{self._kind}, {self._strangers[0]} for one"
            )
        going_on = {
            story: self._last[story][1]
            for story, part in zip(self._ended_stories, self._ended_parts, strict=True)
            if story in self._last and part < self._last[story][0]
        }
        if going_on:
            found.append(
                f"end-of-text stands in the middle of {len(going_on)} stories "
                f"({next(iter(going_on.values()))} for one)"
            )
        if (
            self._n_ended >= _ENOUGH_STORIES
            and self._n_cut_off > self._n_ended / 2
            and self._n_going_on > (self._n_begun - 1) / 2
        ):
            found.append(
                f"{self._n_cut_off} of {self._n_ended} documents end in mid-sentence "
                f"({self._cut_off} for one), and {self._n_going_on} begin in one: they look like "
                "chunks of longer texts, and end-of-text would be learnt in mid-scene; give the "
                "whole texts"
            )
        return found


def leaks(train: Side, heldout: Side) -> list[str]:
    """Whether what is held out is learnt on the training side, word for word."""
    shares = leak_shares(heldout, train)
    leaking = [
        document.source
        for document, share in zip(heldout(), shares, strict=True)
        if share > WHOLE_SHARE
    ]
    if not leaking:
        return []
    return [
        f"{len(leaking)} held-out part(s) stand in the training side too ({leaking[0]} for "
        "one): the held-out loss would mean nothing"
    ]
