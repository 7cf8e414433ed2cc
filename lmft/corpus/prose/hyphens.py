"""Where two lines become one: words that were broken at the line's end are whole again."""

from __future__ import annotations

import re
from collections.abc import Iterable

from lmft.corpus.prose.wrapping import FIRST_CJK, is_cjk

_FIRST_HALF = re.compile(r"[^\W\d_]+$")
_SECOND_HALF = re.compile(r"[^\W\d_]+")
# `-\n` and the word after it: neither half stands for a word of its own here.
_BROKEN = re.compile(r"-\n[ \t]*\S+")
_BETWEEN_WORDS = re.compile(r"--+|[—–/…]")
_PUNCTUATION = " \t.,;:!?\"'“”‘’„«»()[]{}*_"
_LONGEST_WORD = 60
_SOFT_HYPHEN = "\u00ad"
# "pre- and post-war": the hyphen stands for a word that comes later.
_SUSPENDED = frozenset(("and", "or", "to", "nor", "und", "oder", "bis", "et", "ou", "y", "e", "en"))


class Words:
    """The words of a text, collected when the first broken word asks for them."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = lines
        self._words: frozenset[str] | None = None

    def __contains__(self, word: str) -> bool:
        if self._words is None:
            self._words = _words_of("\n".join(self._lines))
        return word.casefold() in self._words


def before_joint(line: str, after: str, words: Words) -> str:
    """`line` as it stands before `after` once both are one line: with what separates them."""
    last = line[-1]
    if last in "-‐":
        return _before_hyphenated(line, after, words)
    if last == _SOFT_HYPHEN:
        return line[:-1]
    if last == "—" and line[-2:-1] != " ":
        return line
    if last >= FIRST_CJK and is_cjk(last) and is_cjk(after[0]):
        return line
    return f"{line} "


def _before_hyphenated(line: str, after: str, words: Words) -> str:
    stem = line[:-1]
    if not stem or stem.rstrip("-")[-1:] in ("", " "):
        # A dash with a space before it has one behind it.
        return f"{line} "
    first, second = _FIRST_HALF.search(stem[-_LONGEST_WORD:]), _SECOND_HALF.match(after)
    if first is None or second is None:
        return line
    head, tail = first.group(), second.group()
    if tail in _SUSPENDED:
        return f"{line} "
    if f"{head}-{tail}" in words or (tail[0].isupper() and not head.isupper()):
        return line
    if head + tail in words or not (head in words and tail in words):
        return stem
    return line


def _words_of(text: str) -> frozenset[str]:
    tokens = set(_BROKEN.sub("-\n", text).casefold().split())
    words: set[str] = set()
    for token in tokens:
        for word in _BETWEEN_WORDS.split(token):
            bare = word.strip(_PUNCTUATION)
            if bare and bare[-1] not in "-‐":
                words.add(bare)
    return frozenset(words)
