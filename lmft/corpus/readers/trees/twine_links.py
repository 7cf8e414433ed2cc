"""Twine's `[[links]]`, the one spelling that all story formats share."""

from __future__ import annotations

import re

# `[[text->target][$setter to 1]]`: what is set cannot be told.
LINK = re.compile(r"\[\[([^\[\]\n]+)\](?:\[[^\[\]]*\])?\]")
_NOT_IN_A_LINK = re.compile(r"\n+|->|<-")
# A macro may lead to `Hall [north]`; between the brackets of a link no others may stand.
_HIDE = str.maketrans("[]", "\x02\x03")
_SHOW = str.maketrans("\x02\x03", "[]")


def split_link(inner: str) -> tuple[str, str]:
    """Text and target of what stands between the brackets; one text may be both."""
    inner = inner.translate(_SHOW)
    for mark, split in (("->", inner.rpartition), ("|", inner.partition)):
        text, found, target = split(mark)
        if found:
            return text.strip(), target.strip()
    target, found, text = inner.partition("<-")
    return (text.strip(), target.strip()) if found else (inner.strip(), inner.strip())


def link_mark(text: str, target: str) -> str:
    """`[[text->target]]`; without text the story goes on there by itself."""
    text, target = (_NOT_IN_A_LINK.sub(" ", part).translate(_HIDE) for part in (text, target))
    return f"[[{text}->{target}]]"


def links_in(text: str) -> str:
    """Only the links of a text that is not shown, each on a line of its own."""
    return "".join(f"\n{match[0]}\n" for match in LINK.finditer(text))
