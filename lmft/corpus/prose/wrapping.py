"""Whether the lines of a text were broken because the next word did not fit, and at what width."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from lmft.corpus.prose.blocks import Block

_SAMPLE_PAIRS = 20_000
_LONGEST_WRAP = 160
_NARROWEST_WRAP = 40
_NARROWEST_CJK_WRAP = 18
_MIN_SHORT_SHARE = 0.8
_WIDTH_PERCENTILE = 0.95
_FITTING_SHARE = 0.45
_LOWER_SHARE = 0.3
# Without upper and lower case (Chinese, Arabic) the widths alone must say it.
_FITTING_SHARE_CASELESS = 0.7
FIRST_CJK = "\u2e80"
_SPACED_BLOCK_LINES = 40


class Layout(NamedTuple):
    """How a hard-wrapped text is laid out.

    Attributes:
        width: the longest that lines become, in characters; short of the few longest.
        capitals: share of continued lines that begin with a capital.
        spaced: blank lines stand between its paragraphs.
    """

    width: int
    capitals: float
    spaced: bool


def find_layout(blocks: Sequence[Block], *, wrapped: bool | None) -> Layout | None:
    """The layout, or None for a text whose line ends are meant.

    A line is a wrapped one if the first word of the next would have made it longer than the
    width; the next then begins as words in mid-sentence do, mostly in lower case. Verse fails
    both, one paragraph a line the second.

    Args:
        wrapped: True where it is known to be wrapped.
    """
    sample = _sample(blocks)
    pairs = [pair for pair in sample if len(pair[0]) <= _LONGEST_WRAP]
    # Text with one paragraph a line has a few that are short, and those say nothing.
    if not pairs or (not wrapped and len(pairs) < _MIN_SHORT_SHARE * len(sample)):
        return None
    lengths = sorted(len(line) for line, _ in pairs)
    width = lengths[min(len(lengths) - 1, int(_WIDTH_PERCENTILE * len(lengths)))]
    fitting = [after for line, after in pairs if overflows(line, after, width)]
    lower = sum(after.lstrip()[0].islower() for after in fitting)
    upper = sum(after.lstrip()[0].isupper() for after in fitting)
    capitals = upper / (lower + upper) if lower + upper else 0.0
    share = len(fitting) / len(pairs)
    cased = (lower + upper) * 3 >= len(fitting)
    if cased:
        found = share >= _FITTING_SHARE and 1 - capitals >= _LOWER_SHARE
    else:
        found = share >= _FITTING_SHARE_CASELESS
    cjk = sum(is_cjk(after[0]) for _, after in pairs) * 2 > len(pairs)
    if not wrapped and not (found and width >= (_NARROWEST_CJK_WRAP if cjk else _NARROWEST_WRAP)):
        return None
    n_lines = sum(len(block.lines) for block in blocks)
    return Layout(width, capitals, n_lines <= _SPACED_BLOCK_LINES * len(blocks))


def overflows(line: str, after: str, width: int) -> bool:
    """Whether `after`'s first word on `line` would have made it longer than `width`."""
    room = width - len(line) - 1
    if room < 0:
        return True
    start = after[0]
    if start >= FIRST_CJK and is_cjk(start):
        # Any character may be broken after, but for marks that must not begin a line.
        return room <= 2
    if start in " \t":
        after = after.lstrip()
    return len(after) > room and " " not in after[: room + 1]


def is_cjk(character: str) -> bool:
    """Chinese and Japanese, which are written without spaces between words (Korean has them)."""
    return (
        FIRST_CJK <= character <= "\u9fff"
        or "\uf900" <= character <= "\ufaff"
        or ("\uff00" <= character <= "\uffef" or "\U00020000" <= character <= "\U0003ffff")
    )


def _sample(blocks: Sequence[Block]) -> list[tuple[str, str]]:
    n_pairs = sum(len(block.lines) - 1 for block in blocks)
    step = n_pairs // _SAMPLE_PAIRS + 1
    pairs: list[tuple[str, str]] = []
    position = 0
    for block in blocks:
        for index in range(-position % step, len(block.lines) - 1, step):
            line, after = block.lines[index].text, block.lines[index + 1].text
            if line[0] != ">" and after[0] != ">":
                pairs.append((line, after))
        position += len(block.lines) - 1
    return pairs
