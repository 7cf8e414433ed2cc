"""Bytes of HTML or XHTML to a tree, whatever is wrong with them."""

from __future__ import annotations

import codecs
import re

from bs4 import BeautifulSoup
from bs4.dammit import EncodingDetector

from lmft.corpus.decode import Unreadable

# Beautiful Soup's tree takes about 35 times the markup, and 1 kB for each tag.
MAX_MARKUP_CHARACTERS = 16 << 20
MAX_TAGS = 600_000

_XML_DECLARATION = re.compile(r"\A\s*<\?xml[^>]*>")
# Of the encodings that Python knows, those that a web page can be in.
_WEB_ENCODING = re.compile(
    r"utf-(8|16|16-[lb]e)|iso8859-\d+|cp\d+|koi8-[ru]|mac-\w+|ascii|shift_jis|euc_\w+|gb\w+|big5"
)


def decode_markup(data: bytes) -> str | None:
    """By byte order mark, then as declared, then as UTF-8; None when it is none of them."""
    data, marked = EncodingDetector.strip_byte_order_mark(data)
    declared = EncodingDetector.find_declared_encoding(data, is_html=True)
    for label in (marked, declared, "utf-8"):
        try:
            codec = codecs.lookup(label or "").name
            if _WEB_ENCODING.fullmatch(codec):
                # As browsers do: pages that declare Latin-1 have the quotes of cp1252.
                return data.decode("cp1252" if codec in ("iso8859-1", "ascii") else codec)
        except (LookupError, ValueError):
            continue
    return None


def parse_markup(markup: str) -> BeautifulSoup:
    """The tree of a page, however malformed. Entities are HTML's only: a page's own stay as
    they are written.

    Raises:
        Unreadable: too large to hold, or no text.
    """
    if len(markup) > MAX_MARKUP_CHARACTERS or markup.count("<") > MAX_TAGS:
        raise Unreadable(
            f"more than {MAX_MARKUP_CHARACTERS >> 20} million characters or {MAX_TAGS} tags of "
            "HTML; split it into smaller files"
        )
    if "\0" in markup:
        raise Unreadable("NUL character: this is not HTML")
    markup = _XML_DECLARATION.sub("", markup).replace("\r\n", "\n").replace("\r", "\n")
    # Behind a line end nothing looks to Beautiful Soup like XML, an address or a file's name.
    return BeautifulSoup(f"\n{markup}\n", "lxml")
