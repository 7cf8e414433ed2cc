"""Whether a text starts or stops inside a sentence, in any script."""

from __future__ import annotations

import re
import unicodedata

# All other punctuation may end a text. The semicolon does: in Greek it is the question mark.
_COMMAS = ",\u055d\u060c\u07f8\u1363\u1802\u1808\u3001\ufe50\uff0c\uff64"
_QUOTES = "\"'\u2018\u2019\u201c\u201d\u00ab\u00bb\u203a\u300d\u300f\uff09)\\]}*_"
# Of Latin, Armenian, Arabic, Urdu, Indic, Myanmar, Ethiopic and Khmer script; a space follows.
_STOPS = ".!?\u2026\u0589\u061f\u06d4\u0964\u0965\u104b\u1362\u17d4"
_WIDE_STOPS = "\u3002\uff01\uff1f\uff61"
# Possessive, and only where a run of stops begins: linear, whatever the text is.
_END = re.compile(rf"(?<![{_STOPS}])[{_STOPS}]++[{_QUOTES}]*+(?=\s)|[{_WIDE_STOPS}]++[{_QUOTES}]*+")
_BETWEEN = re.compile(rf"[\s{_QUOTES}\u2013\u2014-]*+")


def breaks_off(text: str) -> bool:
    """Whether the text ends with a word or a comma, where a sentence would end with its mark.

    Only a hint: verse, titles, `THE END`, and scripts without such marks (Thai) do it too.
    """
    last = text.rstrip()[-1:]
    return last != "" and (unicodedata.category(last)[0] in "LMN" or last in _COMMAS)


def goes_on(text: str) -> bool:
    """Whether the text begins in lower case, as the rest of a sentence does.

    Only a hint: see `capitalises`.
    """
    return text.lstrip()[:1].islower()


def capitalises(text: str) -> bool:
    """Whether a sentence in the text begins in upper case after the end of another.

    Where none does (lyrics, Georgian) a beginning in lower case says nothing.
    """
    for end in _END.finditer(text):
        place = _BETWEEN.match(text, end.end())
        if place and text[place.end() : place.end() + 1].isupper():
            return True
    return False


def whole_sentences(text: str) -> str:
    """The text up to the last end of a sentence in it; all of it if there is none."""
    ends = [end.end() for end in _END.finditer(text)]
    return text[: ends[-1]] if ends else text
