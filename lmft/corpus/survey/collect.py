"""Counts over all documents, added up as they stream by."""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass, field

from lmft.corpus.cast import SpeakerCount
from lmft.corpus.documents import Document
from lmft.corpus.survey.coverage import CharacterCounts
from lmft.corpus.survey.languages import language_of
from lmft.corpus.survey.person import PersonCount, count_person
from lmft.corpus.survey.secrets import find_secrets
from lmft.corpus.survey.speakers import count_speakers

MAX_PLACES_KEPT = 20
# All documents are asked for their language up to here, then fewer and fewer.
_ALL_ASKED = 100


@dataclass
class Survey:
    """Attributes:
    languages: characters of the documents that were asked, by ISO 639-1 code.
    secret_places: by kind, the documents of the first few.
    """

    characters: CharacterCounts = field(default_factory=CharacterCounts)
    person: PersonCount = field(default_factory=PersonCount)
    languages: Counter[str] = field(default_factory=Counter)
    speakers: dict[str, SpeakerCount] = field(default_factory=dict)
    secrets: Counter[str] = field(default_factory=Counter)
    secret_places: dict[str, list[str]] = field(default_factory=dict)
    _story_bytes: array[int] = field(default_factory=lambda: array("q"))
    _story: int = -1
    _n_documents: int = 0

    def add(self, document: Document) -> None:
        text = document.words
        self._n_documents += 1
        self.characters.add(text)
        if _asked(self._n_documents):
            language = language_of(text)
            self.languages[language or "unknown"] += len(text)
            self.person += count_person(text)
        for found in find_secrets(text):
            self.secrets[found.kind] += 1
            places = self.secret_places.setdefault(found.kind, [])
            if len(places) < MAX_PLACES_KEPT and document.source not in places:
                places.append(document.source)
        if document.story != self._story:
            self._story = document.story
            self._story_bytes.append(0)
        self._story_bytes[-1] += document.n_bytes
        count_speakers(document, self.speakers)

    def lengths(self) -> list[tuple[int, int]]:
        """(from_bytes, count) of whole documents, in powers of two."""
        exponents = Counter(size.bit_length() - 1 for size in self._story_bytes if size > 0)
        return [(1 << exponent, exponents[exponent]) for exponent in sorted(exponents)]


def _asked(number: int) -> bool:
    """True for the first _ALL_ASKED, then fewer and fewer: a million cost little more."""
    step = 1 << (number // _ALL_ASKED).bit_length()
    return number % (step // 2 or 1) == 0
