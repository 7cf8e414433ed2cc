"""Counts over all documents, added up as they stream by."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from lmft.corpus.cast import SpeakerCount
from lmft.corpus.documents import Document
from lmft.corpus.survey.coverage import CharacterCounts
from lmft.corpus.survey.languages import language_of
from lmft.corpus.survey.person import PersonCount, count_person
from lmft.corpus.survey.secrets import find_secrets

MAX_PLACES_KEPT = 20
# All documents are asked for their language up to here, then fewer and fewer.
_ALL_ASKED = 100


@dataclass
class Survey:
    """Attributes:
    languages: bytes of the documents that were asked, by ISO 639-1 code.
    uncast_speakers: those of `speakers` whose documents do not say which one is the model.
    secret_places: by kind, the documents of the first few.
    """

    characters: CharacterCounts = field(default_factory=CharacterCounts)
    person: PersonCount = field(default_factory=PersonCount)
    languages: Counter[str] = field(default_factory=Counter)
    speakers: dict[str, SpeakerCount] = field(default_factory=dict)
    uncast_speakers: dict[str, SpeakerCount] = field(default_factory=dict)
    secrets: Counter[str] = field(default_factory=Counter)
    secret_places: dict[str, list[str]] = field(default_factory=dict)
    story_bytes: list[int] = field(default_factory=list)
    _n_documents: int = 0

    def add(self, document: Document, text: str) -> None:
        """`text`: all the words of the document."""
        self._n_documents += 1
        self.characters.add(text)
        if _asked(self._n_documents):
            language = language_of(text)
            self.languages[language or "unknown"] += len(text)
            self.person += count_person(document.text or _narration(document))
        for found in find_secrets(text):
            self.secrets[found.kind] += 1
            places = self.secret_places.setdefault(found.kind, [])
            if len(places) < MAX_PLACES_KEPT and document.source not in places:
                places.append(document.source)
        if document.begins or not self.story_bytes:
            self.story_bytes.append(0)
        self.story_bytes[-1] += document.n_bytes
        for turn in document.messages:
            if turn.name is not None:
                n_bytes = len(turn.content.encode())
                _count(self.speakers, turn.name, n_bytes)
                if document.uncast:
                    _count(self.uncast_speakers, turn.name, n_bytes)

    def lengths(self) -> list[tuple[int, int]]:
        """(from_bytes, count) of whole documents, in powers of two."""
        sizes: npt.NDArray[np.int64] = np.array(self.story_bytes, dtype=np.int64)
        exponents = Counter(int(size).bit_length() - 1 for size in sizes if size > 0)
        return [(1 << exponent, exponents[exponent]) for exponent in sorted(exponents)]


def _count(speakers: dict[str, SpeakerCount], name: str, n_bytes: int) -> None:
    before = speakers.get(name, SpeakerCount(0, 0))
    speakers[name] = SpeakerCount(before.turns + 1, before.n_bytes + n_bytes)


def _asked(number: int) -> bool:
    """True for the first _ALL_ASKED, then every 2nd, 4th, ...: a million cost what ten thousand do."""
    step = 1 << (number // _ALL_ASKED).bit_length()
    return number % (step // 2 or 1) == 0


def _narration(document: Document) -> str:
    return "\n".join(turn.content for turn in document.messages)
