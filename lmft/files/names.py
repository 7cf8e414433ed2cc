"""A file's name is for people; on disk it is a number, ASCII letters and an ending we know."""

from __future__ import annotations

import re
import unicodedata
from pathlib import PurePosixPath

MAX_CHARACTERS = 255
_NAMELESS = "file"
_MAX_ENDING, _MAX_SLUG = 16, 40
# All that a reader of lmft.corpus takes a hint from.
_ENDINGS = frozenset(
    (
        *(".txt", ".md", ".markdown", ".html", ".htm", ".xhtml", ".xht", ".epub", ".docx", ".pdf"),
        *(".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".tab", ".yml", ".yaml"),
        *(".twee", ".tw", ".twee2", ".tw2", ".ink", ".fountain"),
    )
)
# Control, format (right-to-left override), surrogate, private and line-ending characters.
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def shown_name(given: str) -> str:
    """The name as it is stored: its last part, without what cannot be seen, at most 255
    characters with its ending. Never a path to open."""
    last = re.split(r"[/\\]", given.rstrip("/\\"))[-1]
    visible = "".join(one for one in last if unicodedata.category(one) not in _HIDDEN).strip()
    if not visible.strip("."):
        return _NAMELESS
    if len(visible) <= MAX_CHARACTERS:
        return visible
    ending = PurePosixPath(visible).suffix
    if len(ending) > _MAX_ENDING:
        ending = ""
    return visible[: MAX_CHARACTERS - len(ending)] + ending


def disk_name(number: int, shown: str) -> str:
    """`003-my-novel.txt`: unique by its number, sorted by it, and harmless whatever `shown` is."""
    path = PurePosixPath(shown.lower())
    slug = re.sub(r"[^a-z0-9]+", "-", path.stem)[:_MAX_SLUG].strip("-") or _NAMELESS
    return f"{number:03d}-{slug}{path.suffix if path.suffix in _ENDINGS else ''}"
