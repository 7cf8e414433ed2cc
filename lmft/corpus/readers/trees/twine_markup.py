"""A Twine passage's source, in whatever story format, to what the player reads and can choose.

Harlowe, SugarCube, Chapbook and Snowman are told apart by the shape of their marks, passage by
passage. What only a running story could know is decided like this:

- of a conditional the first branch is told; links are kept from every branch;
- a variable shows the first plain value that the story gives it, else its own name;
- a link within a sentence is read there and chosen too; a link on its own is only chosen.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from typing import NamedTuple

from lmft.corpus.readers.trees.actions import action_line, without_prompt
from lmft.corpus.readers.trees.tree import Choice
from lmft.corpus.readers.trees.twine_harlowe import strip_harlowe
from lmft.corpus.readers.trees.twine_links import LINK, link_mark, links_in, split_link
from lmft.corpus.readers.trees.twine_sugarcube import strip_sugarcube

_NAME = r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*"
_VARIABLE = re.compile(rf"(?<![\w$])\$({_NAME})")
_ASSIGNED = re.compile(
    rf"\$({_NAME})[ \t]*(?:\bto\b|=(?!=))[ \t]*"
    r"""(?:"([^"\n$]*)"|'([^'\n$]*)'|(-?\d+(?:\.\d+)?)\b)"""
)
_PASSAGE_TAG = re.compile(
    r"<a\b[^<>]{0,200}\bdata-passage=[\"']([^\"'<>]{1,200})[\"'][^<>]{0,200}>([^<>]*)</a>",
    re.IGNORECASE,
)
# Openings and ends of what is never shown.
_UNSEEN = tuple(
    (re.compile(opening, re.IGNORECASE | re.MULTILINE), re.compile(end, re.IGNORECASE))
    for opening, end in (
        (r"<!--", r"-->"),
        (r"/%", r"%/"),
        (r"^/\*", r"\*/"),
        *((rf"<{tag}\b[^<>]*>", rf"</{tag}\s*>") for tag in ("script", "style", "svg", "audio")),
    )
)
_SNOWMAN_VALUE = re.compile(r"<%=\s*(?:s\.|window\.story\.state\.)?([A-Za-z_]\w*)?[^%]*%>")
_SNOWMAN_CODE = (re.compile("<%"), re.compile("%>"))
_CHAPBOOK_VARIABLES = re.compile(
    r"\A(?:[\w.]+(?: \([^)\n]*\))?:[^\n]*\n|[ \t]*\n)+--[ \t]*(?:\n|\Z)"
)
_CHAPBOOK_ASSIGNED = re.compile(
    r"""^([A-Za-z_][\w.]*):[ \t]*(?:"([^"\n]*)"|'([^'\n]*)'|(-?\d+(?:\.\d+)?))[ \t]*$""",
    re.MULTILINE,
)
_CHAPBOOK_MODIFIER = re.compile(
    r"^\[(?:(?P<other>else)|(?P<code>javascript|css|note|n\.b\.|fixme|todo)"
    r"|(?:if|unless|ifalways|ifnever|after|append|align|cont|continued?)\b[^\[\]\n]*)\][ \t]*$",
    re.IGNORECASE,
)
_CHAPBOOK_INSERT = re.compile(
    r"\{(?:embed|reveal|back|restart|cycling|dropdown|text input|ambient|sound|theme)\b[^{}\n]*\}"
)
_CHAPBOOK_VALUE = re.compile(rf"\{{({_NAME})\}}")
_LINE_BREAK_TAG = re.compile(r"<(?:br|/p|/div|/li|/h\d)\b[^<>]*>\n?", re.IGNORECASE)
_TAG = re.compile(r"</?[A-Za-z][^<>]*>")
_MARKS = tuple(
    re.compile(pattern, re.MULTILINE)
    for pattern in (
        r"''(.{1,2000}?)''",
        r"\*\*(.{1,2000}?)\*\*",
        r"(?<!:)//(.{1,2000}?)(?<!:)//",
        r"(?<!\w)__(.{1,2000}?)__(?!\w)",
        r"~~(.{1,2000}?)~~",
        r"(?<![\w*])\*(?=[^\s*])([^*\n]+?)(?<=\S)\*(?![\w*])",
        r"^(?:#{1,6}(?= )|!{1,6}(?=[ \w])|=+>(?=\s)|<=+(?=\s)|=+><=+(?=\s))[ \t]*()",
        r"^(?:-{3,}|\*{3,})[ \t]*$()",
    )
)
_LINK_PLACE = re.compile(r"\0(\d+)\0")
# `You can [[open the door]]`: what stands before tells a deed from a thing.
_BEFORE_A_DEED = re.compile(
    r"(?:\A|[.!?:;]|\b(?:to|can|could|or|might|may|must|should|will|would|you|i|we|then))\W*\Z",
    re.I,
)
_BEFORE_CHARACTERS = 30
_MAX_LINE_CHARACTERS = 4_000
_LINKS_AT_THE_END = re.compile(r"(?:\A|(?<=[.!?:…\"”’)*]))(?:[^\w\0]*\0\d+\0)+[^\w\0]*\Z")
_BLANK_LINES = re.compile(r"\n{3,}")


class Cleaned(NamedTuple):
    """Attributes:
    n_named: variables that are shown by their name, for the story gives them no plain value.
    """

    text: str
    choices: tuple[Choice, ...]
    n_named: int


def first_values(source: str, values: dict[str, str]) -> None:
    """Add to `values` the plain value of each variable that a passage sets and none did before."""
    found = _ASSIGNED.findall(source)
    if section := _CHAPBOOK_VARIABLES.match(source):
        found += _CHAPBOOK_ASSIGNED.findall(section[0])
    for name, *value in found:
        values.setdefault(name, "".join(value))


def clean(source: str, values: Mapping[str, str]) -> Cleaned:
    """A passage without its markup; see the module for what is decided how."""
    text = source.replace("\0", "")
    for unseen in _UNSEEN:
        text = _cut(text, *unseen)
    text = _without_chapbook(_PASSAGE_TAG.sub(lambda tag: link_mark(tag[2], tag[1]), text))
    text = _SNOWMAN_VALUE.sub(lambda value: f"${value[1]}" if value[1] else "", text)
    text = strip_harlowe(strip_sugarcube(_cut(text, *_SNOWMAN_CODE)))
    text, n_named = _with_values(text, values)
    links: list[tuple[str, str]] = []

    def place(match: re.Match[str]) -> str:
        links.append(split_link(match[1]))
        return f"\0{len(links) - 1}\0"

    text = _plain(LINK.sub(place, text.replace("\\\n", "")))
    lines, choices = [], []
    for line in text.split("\n"):
        shown, found = _line_and_choices(line, links)
        choices += found
        lines += [shown.rstrip()] if shown is not None else []
    text = _BLANK_LINES.sub("\n\n", "\n".join(lines))
    return Cleaned(text.strip(), tuple(choices), n_named)


def _cut(text: str, opening: re.Pattern[str], end: re.Pattern[str]) -> str:
    """`text` without what stands between the two; in one pass, where one lazy pattern would
    look for the end again from each opening that has none."""
    kept, done = [], 0
    while (start := opening.search(text, done)) and (stop := end.search(text, start.end())):
        kept.append(text[done : start.start()])
        done = stop.end()
    return "".join(kept) + text[done:]


def _line_and_choices(line: str, links: list[tuple[str, str]]) -> tuple[str | None, list[Choice]]:
    """The line as it is read, None where there were only links, and the choices in it."""
    if "\0" not in line:
        return line, []
    alone = _LINKS_AT_THE_END.search(line) if len(line) < _MAX_LINE_CHARACTERS else None
    prose = line[: alone.start()] if alone else line
    choices = []
    for found in _LINK_PLACE.finditer(line):
        text, target = links[int(found[1])]
        label = " ".join(_plain(text).split())
        before = line[max(0, found.start() - _BEFORE_CHARACTERS) : found.start()]
        is_deed = found.start() >= len(prose) or _BEFORE_A_DEED.search(before)
        choices.append(Choice(action_line(label) if is_deed else without_prompt(label), target))
    if not any(letter.isalnum() for letter in prose):
        return None, choices
    return _LINK_PLACE.sub(lambda found: _plain(links[int(found[1])][0]), prose), choices


def _plain(text: str) -> str:
    """Without HTML and the formats' marks for italics and the like."""
    text = _TAG.sub("", _LINE_BREAK_TAG.sub("\n", text))
    for mark in _MARKS:
        text = mark.sub(r"\1", text)
    return html.unescape(text).replace("\xa0", " ")


def _with_values(text: str, values: Mapping[str, str]) -> tuple[str, int]:
    unknown = 0

    def value(match: re.Match[str]) -> str:
        nonlocal unknown
        if (known := values.get(match[1])) is not None:
            return known
        unknown += 1
        return match[1].rpartition(".")[2]

    text = _VARIABLE.sub(value, text)
    return _CHAPBOOK_VALUE.sub(lambda name: values.get(name[1], name[0]), text), unknown


def _without_chapbook(text: str) -> str:
    """Without the section of variables, and without `[else]` parts but for their links."""
    text = _CHAPBOOK_INSERT.sub("", _CHAPBOOK_VARIABLES.sub("", text))
    lines, shown, code = [], True, False
    for line in text.split("\n"):
        if modifier := _CHAPBOOK_MODIFIER.match(line):
            shown, code = not (modifier["other"] or modifier["code"]), bool(modifier["code"])
        elif shown:
            lines.append(line)
        elif not code and (links := links_in(line)):
            lines.append(links)
    return "\n".join(lines)
