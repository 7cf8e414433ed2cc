"""Which paragraphs are chapter headings, titles and scene breaks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from enum import Enum

from lmft.corpus.prose.contents import title_key
from lmft.corpus.prose.unwrap import Paragraph

_MAX_HEADING_CHARACTERS = 100
_MAX_TITLE_CHARACTERS = 80
_MAX_TITLE_WORDS = 12
_TITLE_GAP = 2

_ROMAN = r"[IVXLCivxlc]+"
_ORDINAL = (
    r"(?:first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|eleventh|twelfth"
    r"|thirteenth|fourteenth|fifteenth|sixteenth|seventeenth|eighteenth|nineteenth|twentieth|last)"
)
_CARDINAL = (
    r"(?:(?:twenty|thirty|forty|fifty|sixty)[ -]?)?"
    r"(?:one|two|three|four|five|six|seven|eight|nine)"
    r"|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen"
    r"|twenty|thirty|forty|fifty|sixty"
)
_UNIT = (
    r"(?:chapter|book|part|volume|canto|act|scene|stave|letter|section|episode|fit|chap\."
    r"|kapitel|chapitre|livre|cap[ií]tulo|capitolo|hoofdstuk|глава|часть|rozdział|kapitola|luku)"
)
_NUMBER = rf"(?:the )?(?:{_ORDINAL}|{_CARDINAL})|{_ROMAN}|\d{{1,4}}"
_NUMBERED = re.compile(
    rf"[*_= ]*(?:(?i:{_UNIT})[ \t]+(?P<number>(?i:{_NUMBER}))(?P<rest>(?:[\s.:,;—–*_=-].*)?)"
    rf"|(?i:(?:the )?{_ORDINAL}[ \t]+(?:{_UNIT}|story|tale|night|day))[.:]?[*_= ]*"
    r"|第[ 　]*[0-9０-９一二三四五六七八九十百千零〇两]+[ 　]*[章回話话節节卷部編编].{0,40})",
    re.DOTALL,
)
_NAMED = re.compile(
    r"\W*(?:prologue|epilogue|preface|foreword|introduction|introductory|interlude|afterword"
    r"|conclusion|dedication|appendix|postscript|prolog|epilog|vorwort|nachwort|préface|épilogue"
    r"|author['’]s note)\W*",
    re.I,
)
_BARE_NUMBER = re.compile(r"[*_= ]*(?:[IVXLC]+|\d{1,3})\.?[*_= ]*")
_BREAK = re.compile(r"[ \t]*(?:(?:[*⁂~#•·⸻—–_=+.◆◇❦☙§-][ \t]*){1,80})")
_ELLIPSIS = re.compile(r"[ .]+")
_THE_END = re.compile(r"\W*(?:the end|end|finis|fin|ende)\W*(?:of\b.*)?", re.I)
_QUOTED = "\"“„«‘'—–-(>[*"
_SMALL_WORDS = frozenset(
    ("a", "an", "the", "of", "and", "or", "in", "on", "at", "to", "for", "by", "with", "from")
)


class Mark(Enum):
    """What a paragraph is."""

    TEXT = "text"
    BREAK = "scene break"
    CHAPTER = "chapter"
    TITLE = "title"


HEADINGS = frozenset((Mark.CHAPTER, Mark.TITLE))


def mark(
    paragraphs: Sequence[Paragraph], entries: frozenset[str], *, gap_after: int = 1
) -> Iterator[Mark]:
    """The mark of each. `entries` are the titles that the table of contents names.

    `gap_after` blank lines follow the last.
    """
    title_gap = max(_TITLE_GAP, _usual_gap(paragraphs) + 1)
    count = len(paragraphs)
    for index, paragraph in enumerate(paragraphs):
        if len(paragraph.text) > _MAX_HEADING_CHARACTERS:
            yield Mark.TEXT
        else:
            after = paragraphs[index + 1].gap if index + 1 < count else gap_after
            apart = (paragraph.gap > 0 or index == 0) and after > 0
            yield _mark(paragraph, entries, title_gap, apart=apart, top=index == 0)


def _usual_gap(paragraphs: Sequence[Paragraph]) -> int:
    """Some texts have two blank lines between all paragraphs."""
    gaps = sorted(paragraph.gap for paragraph in paragraphs if paragraph.gap)
    return gaps[(len(gaps) - 1) // 2] if gaps else 1


def _mark(
    paragraph: Paragraph, entries: frozenset[str], title_gap: int, *, apart: bool, top: bool
) -> Mark:
    _, text, gap, heading = paragraph
    if not text[0].isalnum() and _BREAK.fullmatch(text) and not _ELLIPSIS.fullmatch(text):
        return Mark.BREAK
    if is_numbered(text) or (apart and _BARE_NUMBER.fullmatch(text)):
        return Mark.CHAPTER
    if heading:
        return Mark.TITLE
    if not apart or _THE_END.fullmatch(text):
        return Mark.TEXT
    if _NAMED.fullmatch(text) and (gap >= title_gap or text.isupper() or top):
        return Mark.CHAPTER
    if entries and title_key(text) in entries and text[0] not in _QUOTED:
        return Mark.TITLE
    if (gap >= title_gap or top) and _looks_like_title(text):
        return Mark.TITLE
    return Mark.TEXT


def is_numbered(text: str) -> bool:
    """`CHAPTER I`, `Chapter 12. The Door`, `BOOK THE SECOND`, `FIRST STORY`."""
    found = _NUMBERED.fullmatch(text)
    if found is None:
        return False
    rest = (found["rest"] or "").strip()
    if not rest or text.isupper():
        return True
    # "Part one was over." is a sentence, "Part One. The Road" is not.
    title = rest.lstrip(" .:,;—–*_=-")
    return (
        text[0].isupper()
        and (not title or title[0].isupper() or not title[0].isalpha())
        and not (rest[0].isalpha() and rest[-1] in ".,;")
        and not found["number"].islower()
    ) or (text[0].isupper() and rest[0] in ".:—–" and title[:1].isupper() and rest[-1] not in ".,;")


def _looks_like_title(text: str) -> bool:
    if len(text) > _MAX_TITLE_CHARACTERS or text[0] in _QUOTED or "\n" in text:
        return False
    words = text.split()
    if text.isupper():
        return sum(character.isalpha() for character in text) > 1
    if len(words) > _MAX_TITLE_WORDS or text[-1] in '.,;:!?"”’':
        return False
    return words[0][0].isupper() and all(
        word[0].isupper() or word[0].isdigit() or word.casefold() in _SMALL_WORDS
        for word in words
        if word[0].isalnum()
    )
