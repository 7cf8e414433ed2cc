"""Text of the report for page and terminal alike: harmless characters, sizes, shares, counts."""

from __future__ import annotations

import math

from lmft.corpus.survey.secrets import mask_secrets

_SHOWN_AS = {"\n": "↵", "\t": "⇥"}
# They join letters in Persian, in Indic scripts and in emoji; invisible, but part of the word.
_JOINERS = "\u200c\u200d"
_UNITS = ("KB", "MB", "GB", "TB")


def visible(text: str) -> str:
    """`text` on one line, with every control, direction and other unseen character shown.

    What cannot be seen becomes its number: `⟨U+202E⟩`. It can neither turn the rest of the line
    around nor speak to a terminal, and what is left can be written as UTF-8.
    """
    if text.isprintable():
        return text
    return "".join(map(_visible_character, text))


def discreet(text: str) -> str:
    """A person's text as a report may show it: visible, secrets and personal data masked."""
    return visible(mask_secrets(text))


def _visible_character(character: str) -> str:
    # Python calls every space but the plain one unprintable; those of them that are wide are fine.
    if character.isprintable() or character in _JOINERS or character in "\u00a0\u3000":
        return character
    return _SHOWN_AS.get(character, f"⟨U+{ord(character):04X}⟩")


def size(n_bytes: int) -> str:
    """Bytes in decimal units, as disks are sold: `1.2 MB`."""
    if n_bytes < 1000:
        return f"{n_bytes} B"
    value, unit = n_bytes / 1000, _UNITS[0]
    for unit in _UNITS:
        if value < 999.5 or unit == _UNITS[-1]:
            break
        value /= 1000
    return f"{value:,.1f} {unit}" if value < 99.95 else f"{value:,.0f} {unit}"


def octave(from_bytes: int) -> str:
    """The size `from_bytes`, a power of two, in binary units: `4 KiB`."""
    power = max(0, from_bytes.bit_length() - 1) // 10
    unit = ("B", "KiB", "MiB", "GiB", "TiB")[min(power, 4)]
    return f"{from_bytes >> 10 * min(power, 4)} {unit}"


def percent(share: float) -> str:
    """A share in 0..1; `0%` and `100%` only if it is none and all."""
    if 0 < share < 0.01:
        return "<1%"
    if 0.995 <= share < 1:
        return ">99%"
    return f"{share:.0%}"


def rounded(number: float) -> str:
    """Two significant digits and never an exponent: `0.00012`, `3.4`, `1,200`; `0` below zero."""
    if number <= 0:
        return "0"
    digits = 1 - math.floor(math.log10(number))
    return f"{round(number, digits):,.{max(0, digits)}f}"


def counted(number: int, noun: str) -> str:
    """`1 file`, `1,200 files`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
