"""Text that was decoded with the wrong encoding somewhere on its way: `donâ€™t` is `don’t`."""

from __future__ import annotations

import re

from ftfy import fix_encoding
from ftfy.chardata import CHARMAP_ENCODINGS


def repair(text: str) -> tuple[str, int]:
    """The text with mojibake repaired line by line, and how many lines changed.

    The decision is ftfy's (Robyn Speer), of which only the repair of encodings is used: quotes,
    ligatures, widths and normal forms stay as they are. A line goes to ftfy when it has a pair
    of characters that the bytes of one UTF-8 character turn into, or a C1 control character.
    """
    if text.isascii():
        return text, 0
    repaired: list[str] = []
    done = n_changed = 0
    while suspect := _SUSPECT.search(text, done):
        start = text.rfind("\n", done, suspect.start()) + 1 or done
        end = text.find("\n", suspect.end())
        end = len(text) if end < 0 else end
        line = text[start:end]
        fixed = fix_encoding(line)
        n_changed += fixed != line
        repaired += (text[done:start], fixed)
        done = end
    return "".join((*repaired, text[done:])), n_changed


def _characters_of(first: int, last: int) -> set[str]:
    """What the bytes from `first` to `last` are in the encodings that ftfy tries."""
    data = bytes(range(first, last + 1))
    return {
        character
        for encoding in CHARMAP_ENCODINGS
        for character in data.decode(encoding, errors="ignore")
    }


def _suspicious() -> re.Pattern[str]:
    # Right text has these after any letter, and Cyrillic text these letters after others.
    marks, cyrillic_marks = "‘’“”–—…", "»ёіїєґў"
    cyrillic = "\u0400-\u04ff"
    leads = "".join(sorted(_characters_of(0xC2, 0xF4) - set(marks)))
    followers = "".join(sorted(_characters_of(0x80, 0xBF)))
    after_cyrillic = "".join(sorted(set(followers) - set(marks + cyrillic_marks)))
    return re.compile(
        f"[{re.escape(leads)}\x80-\x9f]"
        f"(?:(?<=[\x80-\x9f])"
        # The second byte of `à` is a no-break space, which many programs make a plain one.
        f"|(?<=Ã) "
        f"|(?<![{cyrillic}])[{re.escape(followers)}]"
        f"|(?<=[{cyrillic}])[{re.escape(after_cyrillic)}])"
    )


_SUSPECT = _suspicious()
