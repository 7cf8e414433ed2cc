"""What Ink's machine tells, piece by piece, to text as a player reads it."""

from __future__ import annotations

import re
from collections.abc import Sequence

GLUE = "\x01"
_GLUED = re.compile(rf"\s*{GLUE}[\s{GLUE}]*")
_LINE_END = re.compile(rf"(?<!{GLUE})\n\s*\Z")
_TAIL = 8


def tidy(text: str) -> str:
    """One line a paragraph; glue joins what stands on both sides of it."""
    lines = (" ".join(line.split()) for line in _GLUED.sub(_joint, text).split("\n"))
    return "\n".join(line for line in lines if line)


def _joint(glue: re.Match[str]) -> str:
    return " " if " " in glue[0] else ""


def ends_line(pieces: Sequence[str]) -> bool:
    """True when what comes next begins a paragraph."""
    tail = "".join(pieces[-_TAIL:])
    return not tail.strip() or _LINE_END.search(tail) is not None


def goes_on(text: str) -> bool:
    """True for text that belongs to the line before it."""
    return text.lstrip().startswith(GLUE)


def without_echo(text: str, words: str) -> str:
    """Ink repeats the words of a choice in what follows; the player's line has them already."""
    first, _, rest = text.partition("\n")
    return rest if words and first == words else text
