"""What a line of a script is by itself: heading, stage direction, or furniture of the page."""

from __future__ import annotations

import re

# A longer line is somebody's words, whatever it begins with.
MAX_MARK_CHARACTERS = 200

_NUMERAL = (
    r"(?:[IVXLC]+|\d+|one|two|three|four|five|six|seven|eight|nine|ten|first|second|third|fourth|"
    r"fifth|last|(?:prim|secund|terti|quart|quint|sext|septim|octa[uv]|non|decim)(?:us|a))\b"
)
_ACT_OR_SCENE = re.compile(
    r"\s*(?:#{1,6}\s*)?[*_]{0,3}(?:the\s+)?(?:"
    rf"(?:act|scene|chapter|episode|actus|sco?ena)\b[.:]?\s+(?:the\s+)?{_NUMERAL}.*"
    r"|(?:first|second|third|fourth|fifth|last)\s+(?:act|scene)\b.*"
    r"|(?:prologue|epilogue|induction|prelude|interlude)\.?[*_]{0,3})\s*",
    re.IGNORECASE,
)
_ACT = re.compile(r"[\s#*_]*(?:the\s+)?(?:\w+\s+)?act(?:us)?\b.*", re.IGNORECASE)
_MARKDOWN_HEADING = re.compile(r"\s{0,3}#{1,6}\s+\S.*")
_SLUGLINE = re.compile(r"\s*(?:\d+[A-Z]?\.?\s+)?\.?(?:INT|EXT|EST|I/E)[./ ].*|\s*FADE IN[:.]?\s*")
_TRANSITION = re.compile(r"\s*(?:>\s*)?(?:[A-Z ]+ TO:|FADE OUT[.:]?|FADE TO BLACK[.:]?)\s*")

_BRACKETED = re.compile(r"\s*[*_]{0,2}(?:\[[^\]]*\]|\*[^*]+\*|_[^_]+_)[*_]{0,2}[.,]?\s*")
_IN_PARENTHESES = re.compile(r"\s*[*_]?\([^()]*\)[*_]?[.,]?\s*")
_MOVES = "Enter|Re-?enter|Exit|Exeunt|Manet|Manent|Flourish|Alarums?|Sennet|Tucket|Hautboys"
_STAGE = re.compile(
    rf"\s*(?:(?:{_MOVES}|{_MOVES.upper()})\b.*|Ex\. .*"
    r"|(?:Music(?:ke?)?|MUSIC|Song|SONG|(?:The )?Curtain|CURTAIN)(?:[.:,].*|$)"
    r"|(?:Scene|SCENE|Setting|SETTING|Time|TIME|Place|PLACE|At [Rr]ise|AT RISE)(?:[.:]|--|—).*)"
)
_SETTING = re.compile(
    r"\s*[*_]{0,3}(?:Scene|Setting|Time|Place|At [Rr]ise|SCENE|SETTING|TIME|PLACE|AT RISE)[*_]{0,3}"
    r"(?:[.:]|--|—)[*_]{0,3}\s+\S"
)
_FEW_WORDS = re.compile(
    r"\s*(?:(?:[^\W_]+ ){0,2}[^\W_]+\.|[^\W\d_a-z]{4,}(?: [^\W\d_a-z]+){0,3})\s*"
)
_LEAVES = re.compile(r"\s*(?:Exit|Enter)\.?\s*")
_SONG = re.compile(r"\s*(?:\w+[,.]? )?Song\b")

_END_MARK = re.compile(
    r"\s*[*_]{0,2}(?:finis|the end|end of (?:the )?play)\b.{0,40}", re.IGNORECASE
)
_SEPARATOR = re.compile(r"\s*(?:[*_~-][ \t]*){3,}")
_PAGE_MARK = re.compile(r"\s*(?:\(MORE\)|\(?CONTINUED:?\)?(?:\s*\(\d+\))?|\d{1,4}\.?)\s*")
_CAST_HEADING = re.compile(
    r"\s*#{0,6}\s*[*_]{0,2}(?:dramatis person(?:ae|æ)|persons represented|cast(?: of characters)?|"
    r"(?:the )?(?:persons|characters)(?: (?:of|in) the play)?|list of characters)[.:]?[*_]{0,2}\s*",
    re.IGNORECASE,
)


def _whole(pattern: re.Pattern[str], line: str) -> bool:
    return len(line) <= MAX_MARK_CHARACTERS and pattern.fullmatch(line) is not None


def is_heading(line: str) -> bool:
    """An act, a scene, a slugline, or a heading of Markdown."""
    return (
        _whole(_ACT_OR_SCENE, line) or is_slugline(line) or _whole(_MARKDOWN_HEADING, line)
    ) and not is_cast_heading(line)


def is_act(heading: str) -> bool:
    """The heading of an act, with or without its first scene."""
    return _whole(_ACT, heading)


def is_slugline(line: str) -> bool:
    """`INT. HOUSE - NIGHT`, which only screenplays have."""
    return _whole(_SLUGLINE, line)


def is_transition(line: str) -> bool:
    """`CUT TO:`"""
    return _whole(_TRANSITION, line)


def is_cast_heading(line: str) -> bool:
    """`Dramatis Personae` and the like."""
    return _whole(_CAST_HEADING, line)


def is_bracketed(line: str) -> bool:
    """The whole line in brackets or italics."""
    return _BRACKETED.fullmatch(line) is not None


def is_in_parentheses(line: str) -> bool:
    """The whole line; in verse it may be spoken."""
    return _IN_PARENTHESES.fullmatch(line) is not None


def is_stage_business(line: str) -> bool:
    """`Enter Rosalind.`, `Exeunt`, `Song.`; where it stands decides whether it is spoken."""
    return _whole(_STAGE, line)


def is_setting(line: str) -> bool:
    """`SETTING: A kitchen.`, `Time: the present`; it may go on for a paragraph."""
    return _SETTING.match(line) is not None


def is_direction(line: str) -> bool:
    """Whatever stands between speeches in every script."""
    return is_heading(line) or is_transition(line) or is_bracketed(line) or is_stage_business(line)


def is_few_words(line: str) -> bool:
    """At most three words and a full stop, or four in capitals."""
    return _whole(_FEW_WORDS, line)


def is_leaving(line: str) -> bool:
    """An exit that names nobody; in the First Folio's etexts also a bare `Enter.`"""
    return _whole(_LEAVES, line)


def is_song(line: str) -> bool:
    """What follows is sung, and nobody is named."""
    return _SONG.match(line) is not None


def is_separator(line: str) -> bool:
    """`***`, `---`"""
    return _whole(_SEPARATOR, line)


def is_end_mark(line: str) -> bool:
    """`FINIS.`, `THE END`"""
    return _whole(_END_MARK, line)


def is_page_mark(line: str) -> bool:
    """A screenplay's `(MORE)`, `(CONTINUED)` and page numbers."""
    return _whole(_PAGE_MARK, line)
