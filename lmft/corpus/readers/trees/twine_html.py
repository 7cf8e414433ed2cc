"""The passages in the HTML that Twine 1 and 2 publish."""

from __future__ import annotations

import re
from typing import NamedTuple

from lxml import etree  # type: ignore[import-untyped]

_TWINE_1_ESCAPES = {"\\n": "\n", "\\t": "\t", "\\s": "\\"}
_TWINE_1_ESCAPED = re.compile(r"\\[nts]")


class RawPassage(NamedTuple):
    """A passage as it is in the file. `key` is Twine's number of it, its name in Twee."""

    key: str
    name: str
    tags: tuple[str, ...]
    text: str
    line: int


def read_published(text: str) -> tuple[list[RawPassage], str]:
    """The passages of a published story, and the number of the one it starts with.

    A passage's text is escaped, so that no element stands in it.
    """
    # libxml2 keeps its time in proportion to the file's length, which html.parser does not.
    parser = etree.HTMLParser(encoding="utf-8", huge_tree=True, remove_comments=True)
    try:
        root = etree.fromstring(text.encode(), parser)
    except etree.XMLSyntaxError:
        return [], ""
    raws, start = [], ""
    for element in root.iter("tw-storydata", "tw-passagedata", "div") if root is not None else ():
        found = element.attrib
        name = found.get("name" if element.tag == "tw-passagedata" else "tiddler")
        if element.tag == "tw-storydata":
            start = start or found.get("startnode", "")
        elif name is not None:
            body = element.text or ""
            if element.tag == "div":
                body = _TWINE_1_ESCAPED.sub(lambda mark: _TWINE_1_ESCAPES[mark[0]], body)
            tags = tuple(found.get("tags", "").split())
            line = element.sourceline or 0
            raws.append(RawPassage(found.get("pid", name), name, tags, body, line))
    return raws, start
