"""EPUB books, versions 2 and 3: the chapters in reading order, as one story.

The parts of the format: https://www.w3.org/TR/epub-33/ (container, package document, spine).
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import unquote, urldefrag

from bs4 import BeautifulSoup, Tag

from lmft.corpus.decode import Unreadable
from lmft.corpus.documents import Document
from lmft.corpus.findings import Findings
from lmft.corpus.prose.line import Line
from lmft.corpus.prose.story import story_documents
from lmft.corpus.readers.books.archive import Archive, member_names, open_zip
from lmft.corpus.readers.books.boilerplate import RULES, words_of
from lmft.corpus.readers.books.html_tree import decode_markup, parse_markup
from lmft.corpus.readers.books.markup import tree_lines
from lmft.corpus.readers.reader import Reader
from lmft.corpus.source import SourceFile

_CONTAINER = "META-INF/container.xml"
_ENCRYPTION = "META-INF/encryption.xml"
_MIMETYPE = b"mimetypeapplication/epub+zip"
_MAX_XML_BYTES = 8 << 20
_MAX_CHAPTERS = 5_000
# Fonts may be scrambled in a book that is free to read.
_FONT_SCRAMBLING = ("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC")
_CHAPTER_TYPES = ("application/xhtml+xml", "text/html")
_COPYRIGHT_CHARACTERS = 4_000
_COPYRIGHT_MARKS = re.compile(
    r"(all rights reserved|no part of this (?:book|publication|work))|\b(ISBN)\b"
    r"|(copyright\s*(?:©|\(c\)|\d{4})|©\s*\d{4})|(library of congress|cataloguing)"
    r"|(work of fiction|published (?:by|in))",
    re.IGNORECASE,
)
_MIN_COPYRIGHT_MARKS = 2


class Chapter(NamedTuple):
    """A file of the spine: its name in the archive, and why to leave it out ("" to read it)."""

    member: str
    reason: str


def sniff(source: SourceFile) -> str | None:
    names = member_names(source.head)
    if names and (_MIMETYPE in source.head[:128] or _CONTAINER in names):
        return "a zip archive that says it is an EPUB book"
    return None


def read(source: SourceFile, findings: Findings) -> Iterator[Document]:
    """Raises Unreadable for a damaged book, one protected against copying, or one without text."""
    lines = epub_lines(source, findings)
    if not lines:
        raise Unreadable("a book without text; are its pages pictures?")
    yield from story_documents(source.name, [lines], findings, wrapped=False)


def epub_lines(source: SourceFile, findings: Findings) -> list[Line]:
    """The lines of all chapters, numbered by paragraph through the book. Raises Unreadable."""
    lines: list[Line] = []
    with open_zip(source) as archive:
        _check_not_protected(archive)
        for chapter in chapters(archive):
            if chapter.member not in archive:
                findings.fault(
                    source.name, "a chapter that the book lists is not in it; download it again"
                )
                continue
            number = lines[-1].number if lines else 0
            lines += _chapter_lines(archive, chapter, source.name, findings, number)
    return lines


def chapters(archive: Archive) -> list[Chapter]:
    """The files of the spine, each once. Raises Unreadable."""
    package_name = _package_name(archive)
    package = _xml(archive, package_name)
    folder = posixpath.dirname(package_name)
    items = {str(item.get("id")): item for item in _named(package, "item")}
    reasons = {
        _member(folder, reference): _reason(str(reference.get("type", "")))
        for reference in _named(package, "reference")
    }
    spine: dict[str, Chapter] = {}
    for itemref in _named(package, "itemref"):
        item = items.get(str(itemref.get("idref")))
        if item is None or itemref.get("linear") == "no":
            continue
        if item.get("media-type", _CHAPTER_TYPES[0]) not in _CHAPTER_TYPES:
            continue
        member = _member(folder, item)
        is_contents = "nav" in words_of(item, "properties")
        reason = "navigation" if is_contents else reasons.get(member, "")
        spine.setdefault(member, Chapter(member, reason))
    if not spine:
        raise Unreadable("the book lists no chapters; convert it to EPUB again")
    if len(spine) > _MAX_CHAPTERS:
        raise Unreadable(f"a book of more than {_MAX_CHAPTERS} files")
    return list(spine.values())


def _chapter_lines(
    archive: Archive, chapter: Chapter, name: str, findings: Findings, number: int
) -> list[Line]:
    markup = decode_markup(archive.read(chapter.member))
    if markup is None:
        findings.fault(name, f"the chapter after paragraph {number} is not UTF-8; convert the book")
        return []
    try:
        soup = parse_markup(markup)
    except Unreadable as error:
        findings.fault(name, f"the chapter after paragraph {number}: {error.message}")
        return []
    reason = chapter.reason or _reason_of_body(soup)
    # A page that is left out whole is one entry in the report, not several.
    heard = Findings() if reason else findings
    lines = tree_lines(soup, name, heard, number=number)
    text = "\n".join(line.text for line in lines)
    reason = reason or _reason_of_text(text)
    if not reason:
        return lines
    if text.strip():
        findings.drop(name, reason, text, lines[0].number, lines[-1].number)
    return []


def _reason(kind: str) -> str:
    """Of EPUB's word for a kind of page (`toc`, `copyright-page`)."""
    kind = {"title-page": "titlepage", "copyright": "copyright-page"}.get(kind, kind)
    return RULES.get(f"type={kind}", "")


def _reason_of_body(soup: BeautifulSoup) -> str:
    body = soup.body
    kinds = words_of(body, "epub:type") if body is not None else []
    return next((reason for reason in map(_reason, kinds) if reason), "")


def _reason_of_text(text: str) -> str:
    """Many books do not mark their copyright page; nothing else is short and says all of that."""
    if len(text) > _COPYRIGHT_CHARACTERS:
        return ""
    marks = {found.lastindex for found in _COPYRIGHT_MARKS.finditer(text)}
    return "licence" if len(marks) >= _MIN_COPYRIGHT_MARKS else ""


def _check_not_protected(archive: Archive) -> None:
    if _ENCRYPTION not in archive:
        return
    for method in _named(_xml(archive, _ENCRYPTION), "EncryptionMethod"):
        # Inside a key it says how the key is kept, which a free book has none of either.
        if method.get("Algorithm") not in _FONT_SCRAMBLING:
            raise Unreadable("the book is protected against copying (DRM); lmft cannot read it")


def _package_name(archive: Archive) -> str:
    if _CONTAINER in archive:
        for rootfile in _named(_xml(archive, _CONTAINER), "rootfile"):
            if (name := str(rootfile.get("full-path", ""))) in archive:
                return name
    name = next((name for name in archive.names if name.endswith(".opf")), "")
    if not name:
        raise Unreadable("not a whole EPUB book: its list of chapters (.opf) is missing")
    return name


def _xml(archive: Archive, name: str) -> BeautifulSoup:
    data = archive.read(name)
    text = decode_markup(data)
    if text is None or len(data) > _MAX_XML_BYTES or "<!ENTITY" in text or "\0" in text:
        # No book needs entities of its own here; they are how a small file grows without end.
        raise Unreadable(f"the book's {posixpath.basename(name)[:40]} is not as EPUB wants it")
    return BeautifulSoup(text.encode(), "xml", from_encoding="utf-8")


def _named(soup: BeautifulSoup, name: str) -> list[Tag]:
    """Elements of that name with any prefix or none."""
    return [tag for tag in soup.find_all(True) if tag.name.rpartition(":")[2] == name]


def _member(folder: str, element: Tag) -> str:
    """The name in the archive that an href means; one that leads out of it names nothing."""
    path = unquote(urldefrag(str(element.get("href", ""))).url)
    return posixpath.normpath(posixpath.join(folder, path))


READER = Reader("EPUB book", sniff, read)
