"""Is the narration in the first, second or third person?

English only. Other languages have some of these words too (French `me`, Spanish `he`), so
nothing is said of a text that does not also have the English article.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Literal

Person = Literal["first", "second", "third"]

_PRONOUNS: dict[Person, str] = {
    "first": "i me my mine myself we us our ours ourselves",
    "second": "you your yours yourself yourselves",
    "third": "he him his himself she her hers herself they them their theirs themselves",
}
_PERSON_OF = {word: person for person, words in _PRONOUNS.items() for word in words.split()}
# What a character says tells nothing of the narrator. A quotation that is not closed ends with
# its paragraph: books leave it open when the next paragraph goes on with it. A straight single
# quote opens before a letter and closes after a mark of punctuation; else it is an apostrophe.
_QUOTED = re.compile(
    r'"[^"]*"?'
    r"|[“„«][^”»]*[”»]?"
    r"|‘(?:[^’]|(?<![,.!?;:…—-])’|’(?=\w))*’?"
    # Bounded: a text full of lone apostrophes must not be searched to its end from each of them.
    r"|(?<!\w)'(?=\w)[^']{0,600}(?:(?<![,.!?;:—-])'[^']{0,600}){0,20}(?<=[,.!?;:—-])'(?!\w)"
)
# `I.` with a full stop is a numeral. The look ahead at the first letter halves the time.
_FORMS = [form for word in _PERSON_OF if word != "i" for form in (word, word.capitalize())]
_PRONOUN = re.compile(
    rf"\b(?=[I{''.join(sorted({form[0] for form in _FORMS}))}])(?:I(?!\.)|{'|'.join(_FORMS)})\b"
)
_MIN_PRONOUNS = 10
# English narration has about two `the` to three pronouns (measured on 150 books); French, Spanish
# and German have none.
_ARTICLE = " the "
_MIN_ARTICLES_PER_PRONOUN = 1 / 20
_NARRATOR_SHARE = 1 / 5


@dataclass(frozen=True)
class PersonCount:
    """Pronouns outside quotation marks, and how often `the` stands there."""

    first: int = 0
    second: int = 0
    third: int = 0
    articles: int = 0

    def __add__(self, other: PersonCount) -> PersonCount:
        return PersonCount(
            self.first + other.first,
            self.second + other.second,
            self.third + other.third,
            self.articles + other.articles,
        )

    @property
    def person(self) -> Person | None:
        """Who tells or is told, or None when there are too few English pronouns.

        A narrator who says `I` tells mostly of others: a fifth of all pronouns is enough, and in
        the third person they are next to none outside quotation marks. So with `you`, and of the
        two the greater wins.
        """
        total = self.first + self.second + self.third
        if total < _MIN_PRONOUNS or self.articles < total * _MIN_ARTICLES_PER_PRONOUN:
            return None
        if max(self.first, self.second) < total * _NARRATOR_SHARE:
            return "third"
        return "first" if self.first >= self.second else "second"


def count_person(text: str) -> PersonCount:
    """Count the pronouns of `text` outside quotation marks.

    Paragraphs are parted by blank lines, or are a line each where there is no blank line.
    """
    counts: Counter[Person] = Counter()
    articles = 0
    for paragraph in text.split("\n\n" if "\n\n" in text else "\n"):
        narration = _QUOTED.sub(" ", paragraph)
        articles += narration.count(_ARTICLE)
        counts.update(_PERSON_OF[word.lower()] for word in _PRONOUN.findall(narration))
    return PersonCount(counts["first"], counts["second"], counts["third"], articles)
