"""Web pages: saved stories, Project Gutenberg's HTML, works of the Archive of Our Own."""

from __future__ import annotations

import re
from collections.abc import Iterator

from bs4 import BeautifulSoup, Tag

from lmft.corpus.decode import Unreadable
from lmft.corpus.documents import Document
from lmft.corpus.findings import Findings
from lmft.corpus.prose.line import Line
from lmft.corpus.prose.story import story_documents
from lmft.corpus.readers.books.boilerplate import AO3_RULES, RULES
from lmft.corpus.readers.books.html_tree import decode_markup, parse_markup
from lmft.corpus.readers.books.markup import tree_lines
from lmft.corpus.readers.reader import Reader
from lmft.corpus.readers.trees import twine
from lmft.corpus.source import SourceFile

_SUFFIXES = (".html", ".htm", ".xhtml", ".xht")
_BEGINS = re.compile(
    r"\ufeff?(?:\s|<!--(?:[^-]|-(?!->))*-->|<\?xml[^>]*>)*<(?:!doctype\s+html|html)\b",
    re.IGNORECASE,
)
_STRUCTURE = re.compile(r"<(?:body|p|div|br|h[1-6])\b[^>]*>", re.IGNORECASE)
_MIN_TAGS = 2
_TWINE = ("<tw-storydata", "<tw-story")
_TWINE_STORY = ("<tw-storydata", "<tw-passagedata")
_AO3 = "archiveofourown.org"
_MAX_AO3_HEADS = 1_000


def sniff(source: SourceFile) -> str | None:
    text = source.head_text
    if any(mark in text for mark in _TWINE):
        return None
    if _BEGINS.match(text):
        return "begins like an HTML page"
    if source.suffix in _SUFFIXES and len(_STRUCTURE.findall(text)) >= _MIN_TAGS:
        return f"has HTML's tags, and its name ends in {source.suffix}"
    return None


def read(source: SourceFile, findings: Findings) -> Iterator[Document]:
    """A page of Twine's whose story begins after the head is left to the reader of those.

    Raises:
        Unreadable: too large, no text, or a page without any.
    """
    markup = decode_markup(source.data())
    if markup is None:
        markup = source.text()
        findings.note(f"{source.name}: {source.encoding.note}")
    if all(mark in markup for mark in _TWINE_STORY):
        findings.note(f"{source.name}: holds a story that Twine published; read as that")
        yield from twine.read(source, findings)
        return
    lines = html_lines(markup, source.name, findings)
    if not lines:
        raise Unreadable("a page without text of its own: only menus, scripts or nothing")
    yield from story_documents(source.name, [lines], findings, wrapped=False)


def html_lines(markup: str, name: str, findings: Findings) -> list[Line]:
    """The lines of a page's own text. Raises Unreadable when it is too large or no text."""
    soup = parse_markup(markup)
    if _AO3 not in markup:
        return tree_lines(soup, name, findings, rules=RULES)
    _free_headings(soup)
    return tree_lines(soup, name, findings, rules=AO3_RULES)


def _free_headings(soup: BeautifulSoup) -> None:
    """Chapters' headings stand in the blocks that hold the notes, which are left out."""
    for block in soup.find_all(class_="meta", limit=_MAX_AO3_HEADS):
        for heading in block.find_all(re.compile(r"h[1-6]\Z"), recursive=False):
            if isinstance(heading, Tag):
                block.insert_before(heading.extract())


READER = Reader("HTML page", sniff, read)
