"""Markdown's marks that are no prose: headings known, front matter out, links to their words."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lmft.corpus.findings import Findings
from lmft.corpus.prose.line import Line

_HEADING = re.compile(r"(#{1,6})\s+(.*?)\s*#*\s*\Z")
_IMAGE = re.compile(r"!\[[^\]\n]*\]\([^)\n]*\)")
_LINK = re.compile(r"(?<!!)\[([^\]\n]+)\]\([^)\n]*\)")
_COMMENT = re.compile(r"<!--.*?-->")
_MAX_FRONT_MATTER_LINES = 200


def markdown_lines(name: str, lines: Iterator[Line], findings: Findings) -> Iterator[Line]:
    """Emphasis stays as it is written; a fenced block keeps every mark inside it."""
    fenced = False
    for line in _without_front_matter(name, lines, findings):
        if line.text.lstrip().startswith(("```", "~~~")):
            fenced = not fenced
        if fenced:
            yield line
        elif heading := _HEADING.match(line.text):
            yield Line(line.number, heading.group(2), len(heading.group(1)))
        else:
            text = line.text
            if "](" in text:
                text = _LINK.sub(r"\1", _IMAGE.sub("", text))
            if "<!--" in text:
                text = _COMMENT.sub("", text)
            yield line._replace(text=text)


def _without_front_matter(name: str, lines: Iterator[Line], findings: Findings) -> Iterator[Line]:
    """Drop `---` ... `---` at the very top, which is for the site's generator."""
    first = next(lines, None)
    if first is None:
        return
    if first.text.rstrip() != "---":
        yield first
        yield from lines
        return
    held = [first]
    for line in lines:
        held.append(line)
        if line.text.rstrip() in ("---", "..."):
            text = "\n".join(part.text for part in held)
            findings.drop(name, "front matter", text, first.number, line.number)
            yield from lines
            return
        if len(held) > _MAX_FRONT_MATTER_LINES or not (":" in line.text or line.text[:1] in " -#"):
            break
    yield from held
    yield from lines
