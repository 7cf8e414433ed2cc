"""How well a base's tokenizer knows the letters of the text."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

OTHER = "punctuation and symbols"
_N_CODE_POINTS = 0x110000
_PIECE_CHARACTERS = 1 << 18
_UNKNOWN_TOKENS_PER_CHARACTER = 1.8
_UNKNOWN_SHARE_WITHOUT_TOKEN = 0.4


class CharacterCounts:
    """Counts every character of the texts that are added; fast for many short ones too."""

    def __init__(self) -> None:
        self._counts = np.zeros(_N_CODE_POINTS, np.int64)
        self._pending: list[str] = []
        self._n_pending = 0

    def add(self, text: str) -> None:
        self._pending.append(text)
        self._n_pending += len(text)
        if self._n_pending >= _PIECE_CHARACTERS:
            self._count_pending()

    def counter(self) -> Counter[str]:
        """The count of each character that occurred, in the order of code points."""
        self._count_pending()
        return Counter(
            {chr(code): int(self._counts[code]) for code in np.flatnonzero(self._counts).tolist()}
        )

    def _count_pending(self) -> None:
        text = "".join(self._pending)
        self._pending, self._n_pending = [], 0
        for start in range(0, len(text), _PIECE_CHARACTERS):
            data = text[start : start + _PIECE_CHARACTERS].encode("utf-32-le", "surrogatepass")
            counts = np.bincount(np.frombuffer(data, "<u4"))
            self._counts[: len(counts)] += counts


def character_counts(text: str) -> Counter[str]:
    """How often each character occurs; whitespace is counted too."""
    counts = CharacterCounts()
    counts.add(text)
    return counts.counter()


@dataclass(frozen=True)
class Script:
    """The characters of one script.

    Attributes:
        name: as Unicode has it (`CYRILLIC`); OTHER for all that is not a letter.
        single_share: share of the characters, by count, that have a token of their own.
        tokens_per_character: mean by count, for characters that stand alone.
    """

    name: str
    n_characters: int
    single_share: float
    tokens_per_character: float

    @property
    def unknown(self) -> bool:
        """True when the base hardly knows it and has to spell characters in pieces."""
        return (
            self.tokens_per_character >= _UNKNOWN_TOKENS_PER_CHARACTER
            or 1 - self.single_share >= _UNKNOWN_SHARE_WITHOUT_TOKEN
        )


@dataclass(frozen=True)
class Coverage:
    """Of all characters but whitespace; 1.0 for a text that has none. Commonest script first."""

    n_characters: int
    single_share: float
    scripts: tuple[Script, ...]


def coverage(counts: Mapping[str, int], n_tokens_of: Callable[[str], int]) -> Coverage:
    """What a tokenizer makes of the characters of `counts`.

    Args:
        n_tokens_of: tokens of a text of one character.
    """
    n_characters: Counter[str] = Counter()
    n_single: Counter[str] = Counter()
    n_tokens: Counter[str] = Counter()
    for character, count in counts.items():
        if character.isspace():
            continue
        script, tokens = script_of(character), n_tokens_of(character)
        n_characters[script] += count
        n_tokens[script] += count * tokens
        if tokens == 1:
            n_single[script] += count
    scripts = [
        Script(name, count, n_single[name] / count, n_tokens[name] / count)
        for name, count in n_characters.items()
    ]
    total = n_characters.total()
    return Coverage(
        total,
        n_single.total() / total if total else 1.0,
        tuple(sorted(scripts, key=lambda script: (-script.n_characters, script.name))),
    )


def script_of(character: str) -> str:
    """The script of a letter or of a mark on letters; OTHER for anything else.

    Python has no table of scripts, but Unicode's names of letters begin with theirs. The
    compatibility form brings wide, raised and mathematical letters back to their script, but
    would make letters of signs (`№`), so these are told before.
    """
    if unicodedata.category(character)[0] not in "LM":
        return OTHER
    plain = unicodedata.normalize("NFKC", character)[:1]
    first, _, rest = unicodedata.name(plain, "").partition(" ")
    if unicodedata.category(plain)[0] not in "LM" or first in ("MODIFIER", "VARIATION"):
        return OTHER
    if first == "COMBINING":
        return "COMBINING MARKS"
    # KATAKANA-HIRAGANA PROLONGED SOUND MARK; IDEOGRAPHIC ITERATION MARK; OLD ITALIC LETTER A.
    if first == "OLD":
        return f"OLD {rest.partition(' ')[0]}"
    return {"IDEOGRAPHIC": "CJK", "": OTHER}.get(first, first.partition("-")[0])
