"""What in a web page or book chapter is no prose, by the marks that its makers put on it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from bs4 import Tag
from bs4.element import NavigableString

# Keys: a tag, `#id`, `.class`, `role=...`, `type=...` (EPUB's epub:type).
# Values: the reason that is reported, or "" for what nobody would call text.
Rules = Mapping[str, str]


def _rules(reason: str, *keys: str) -> dict[str, str]:
    return {key: reason for group in keys for key in group.split()}


RULES: Rules = {
    **_rules("", "script style head template svg iframe object canvas audio video rt rp"),
    **_rules(
        "navigation",
        "nav noscript button select textarea label datalist dialog",
        "#comments #respond #toc .toc .comments-area .breadcrumb .breadcrumbs .pagination",
        "role=navigation role=banner role=contentinfo role=search role=menu role=menubar",
        "role=toolbar role=dialog role=doc-toc role=doc-pagelist role=doc-cover role=doc-index",
        "type=toc type=landmarks type=page-list type=loi type=lot type=cover type=index",
    ),
    **_rules("hidden text", ".sr-only .visually-hidden .screen-reader-text .skip-link"),
    **_rules("front matter", "type=titlepage type=halftitlepage"),
    # Project Gutenberg's wrapping, old and new.
    **_rules("licence", "#pg-header #pg-footer #pg-machine-header .pgheader .pg-boilerplate"),
    **_rules("licence", "type=copyright-page"),
    **_rules("page number", ".pagenum .pageno .pagenumber type=pagebreak role=doc-pagebreak"),
    **_rules(
        "footnote",
        ".fnanchor .footnote .footnotes .endnotes role=doc-noteref role=doc-footnote",
        "role=doc-endnote role=doc-endnotes type=noteref type=footnote type=footnotes",
        "type=endnote type=endnotes type=rearnote type=rearnotes",
    ),
}
# Works saved or downloaded from the Archive of Our Own: its notes are talk with the readers.
AO3_RULES: Rules = {
    **RULES,
    **_rules("licence", ".message"),
    **_rules("front matter", ".meta .tags .stats .byline"),
    **_rules("author's note", "#afterword #endnotes .notes .summary"),
    **_rules("navigation", ".landmark .actions #header #footer #feedback #kudos"),
}
_HIDING = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_SKIP_LINK = re.compile(r"\s*(?:skip|jump) (?:to|navigation)\b", re.IGNORECASE)
_MARKS = (("#", "id"), (".", "class"), ("role=", "role"), ("type=", "epub:type"))
_NEVER = ("html", "body")


def reason_to_drop(tag: Tag, rules: Rules) -> str | None:
    """Why this element is left out; "" to do so without a word; None for what stays."""
    if tag.name in _NEVER:
        return None
    for mark in _marks(tag):
        if (reason := rules.get(mark)) is not None:
            return reason
    if tag.attrs:
        if "hidden" in tag.attrs or _HIDING.search(str(tag.attrs.get("style", ""))):
            return "hidden text"
        if tag.name == "a" and _skips(tag):
            return "navigation"
    return None


def words_of(tag: Tag, attribute: str) -> list[str]:
    """The words of an attribute such as class, role or epub:type."""
    value = tag.attrs.get(attribute)
    if value is None:
        return []
    return value.split() if isinstance(value, str) else [str(word) for word in value]


def _marks(tag: Tag) -> Iterator[str]:
    yield tag.name
    if tag.attrs:
        for prefix, attribute in _MARKS:
            for word in words_of(tag, attribute):
                yield prefix + word


def _skips(tag: Tag) -> bool:
    """A link such as "Skip to content"; only its first words are looked at."""
    first = tag.contents[0] if tag.contents else None
    if not isinstance(first, NavigableString) or not _SKIP_LINK.match(first):
        return False
    return str(tag.attrs.get("href", "")).startswith("#")
