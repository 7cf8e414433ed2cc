"""The clean-ups of single lines: trailing space, page ends, control characters."""

from __future__ import annotations

import re

from lmft.corpus.prose.line import Line

# A vertical tab is Word's line end inside a paragraph: leaving it out would glue two words.
_PAGE_OR_LINE_END = re.compile(r"([\f\v])")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")


def clean_lines(lines: list[Line]) -> list[Line]:
    """The same lines without trailing space and control characters; a form feed is a blank line."""
    cleaned: list[Line] = []
    for line in lines:
        text = line.text.rstrip()
        # Not printable are tabs and unusual spaces, too; most lines are spared the regexes.
        if (text.isprintable() or not _CONTROL.search(line.text)) and "\f" not in line.text:
            cleaned.append(line if text == line.text else line._replace(text=text))
        else:
            cleaned += _split(line)
    return cleaned


def _split(line: Line) -> list[Line]:
    parts: list[Line] = []
    for piece in _PAGE_OR_LINE_END.split(line.text):
        if piece == "\f":
            parts.append(line._replace(text=""))
        elif piece != "\v":
            text = _CONTROL.sub("", piece).rstrip()
            # An empty piece is where the mark stood at an end of the line, not a blank line.
            if text or piece == line.text:
                parts.append(line._replace(text=text))
    return parts
