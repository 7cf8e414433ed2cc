"""Twine stories: Twee source and published HTML of Twine 1 and 2.

Formats: https://github.com/iftechfoundation/twine-specs (Twee 3, Twine 1 and 2 HTML output).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from lmft.corpus.decode import Unreadable
from lmft.corpus.documents import Document
from lmft.corpus.findings import Findings
from lmft.corpus.readers.reader import Reader
from lmft.corpus.readers.rows.strict_json import JsonFault, parse
from lmft.corpus.readers.trees.tree import Passage, tell
from lmft.corpus.readers.trees.twine_html import RawPassage, read_published
from lmft.corpus.readers.trees.twine_markup import clean, first_values
from lmft.corpus.source import SourceFile

_TWEE_SUFFIXES = (".twee", ".tw", ".twee2", ".tw2")
_HEADER = re.compile(
    r"::[ \t]*(?P<name>(?:\\.|[^\\\[\]{}])*)(?:\[(?P<tags>[^\[\]]*)\])?[ \t]*(?:\{.*\})?[ \t]*\Z"
)
_ESCAPED = re.compile(r"\\(.)")
_TWEE_LINE = re.compile(r"^::[ \t]*[^\s:]", re.MULTILINE)
_TWEE_NAME = re.compile(r"^::[ \t]*(StoryData|StoryTitle)[ \t]*(?:\[|\{|$)", re.MULTILINE)
# A big story format stands before the story, which may then begin after the head.
_PUBLISHED = re.compile(
    r"<tw-storydata\b|<tw-story\b[^>]*>|title=\"Twine CSS\"|^SugarCube \(v\d", re.MULTILINE
)
_TWINE_1 = re.compile(r"<div id=\"store-?[Aa]rea\"[^>]*>\s*(?:<div [^>]*>\s*)?<div tiddler=")
_NO_STORY_TAGS = frozenset(
    ("script", "stylesheet", "widget", "init", "annotation", "header", "footer", "startup")
)
_SPECIAL_NAMES = """
    StoryAuthor StoryBanner StoryCaption StoryData StoryDisplayTitle StoryIncludes StoryInit
    StoryInterface StoryMenu StorySettings StoryShare StorySubtitle StoryTitle PassageDone
    PassageFooter PassageHeader PassageReady MenuOptions MenuShare MenuStory ClickToContinue
"""
_NO_STORY_NAMES = frozenset(_SPECIAL_NAMES.split())


def sniff(source: SourceFile) -> str | None:
    head = source.head_text
    if _TWEE_NAME.search(head):
        return "has Twee's `:: StoryData` or `:: StoryTitle`"
    if source.suffix in _TWEE_SUFFIXES and _TWEE_LINE.search(head):
        return "is named as Twee and has its `:: Passage` lines"
    if head.lstrip()[:1] != "<":
        return None
    if _PUBLISHED.search(head):
        return "is a story that Twine published"
    return "is a story that Twine 1 published" if _TWINE_1.search(head) else None


def read(source: SourceFile, findings: Findings) -> Iterator[Document]:
    """The story's ways, told from its start passage.

    Raises:
        Unreadable: no passages in it.
    """
    text = source.text()
    if text.lstrip()[:1] == "<":
        raws, start = read_published(text)
    else:
        raws = list(_twee_passages(text.split("\n")))
        start = _twee_start(raws, source.name, findings)
    told = [raw for raw in raws if _is_story(raw)]
    if not told:
        raise Unreadable("no Twine passages in it; publish the story to a file, or export Twee")
    yield from tell(
        _cleaned(raws, source.name, findings), [_start_name(told, start)], source.name, findings
    )


def _is_story(raw: RawPassage) -> bool:
    return raw.name not in _NO_STORY_NAMES and _NO_STORY_TAGS.isdisjoint(raw.tags)


def _cleaned(raws: list[RawPassage], name: str, findings: Findings) -> dict[str, Passage]:
    values: dict[str, str] = {}
    # What the story sets before its first passage comes first.
    for raw in sorted(raws, key=lambda raw: raw.name != "StoryInit" and "startup" not in raw.tags):
        first_values(raw.text, values)
    passages: dict[str, Passage] = {}
    n_named = 0
    for raw in raws:
        if not _is_story(raw):
            findings.drop(name, "Twine passage that is not told", raw.text, raw.line, raw.line)
        elif raw.name in passages:
            message = "a second passage of this name; the first is used: give each its own name"
            findings.fault(name, message, line=raw.line or None)
        else:
            cleaned = clean(raw.text, values)
            n_named += cleaned.n_named
            passages[raw.name] = Passage(cleaned.text, cleaned.choices, raw.line)
    if n_named:
        findings.note(f"{name}: {n_named:,} variables without a plain value are told by their name")
    return passages


def _start_name(told: list[RawPassage], start: str) -> str:
    """The passage that the story names as its start, else `Start`, else the first."""
    for wanted in (start, "Start"):
        for raw in told:
            if wanted and wanted in (raw.key, raw.name):
                return raw.name
    return told[0].name


def _twee_passages(lines: list[str]) -> Iterator[RawPassage]:
    header, first, body = None, 0, []
    for number, line in enumerate([*lines, "::"], 1):
        if not line.startswith("::"):
            body.append(line)
            continue
        if header is not None:
            name, tags = header
            yield RawPassage(name, name, tags, "\n".join(body), first)
        header, first, body = _twee_header(line), number, []


def _twee_header(line: str) -> tuple[str, tuple[str, ...]]:
    match = _HEADER.match(line)
    if match is None:
        return line[2:].strip(), ()
    return _ESCAPED.sub(r"\1", match["name"]).strip(), tuple((match["tags"] or "").split())


def _twee_start(raws: list[RawPassage], name: str, findings: Findings) -> str:
    for raw in raws:
        if raw.name == "StoryData":
            try:
                data: Any = parse(raw.text)
            except JsonFault as fault:
                findings.fault(name, f"StoryData is not JSON: {fault}", line=raw.line)
                return ""
            start = data.get("start") if isinstance(data, dict) else None
            return start if isinstance(start, str) else ""
    return ""


READER = Reader("Twine story", sniff, read)
