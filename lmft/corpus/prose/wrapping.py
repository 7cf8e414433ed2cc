"""Whether the lines of a text were broken because the next word did not fit, and at what width."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from lmft.corpus.prose.blocks import Block, goes_on

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
# Where lines stand for paragraphs as often as not, those that break a sentence must say it.
_MIN_BROKEN = 20
_MIN_BROKEN_SHARE = 0.15
_BROKEN_FITTING_SHARE = 0.85
FIRST_CJK = "\u2e80"
IDEOGRAPHIC_SPACE = "\u3000"
_SPACED_BLOCK_LINES = 40


class Layout(NamedTuple):
    """How a hard-wrapped text is laid out.

    Attributes:
        width: the longest that lines become, in characters; short of the few longest.
        capitals: share of continued lines that begin with a capital.
        spaced: blank lines stand between its paragraphs.
        certain: it is known to be wrapped, as print is; its letters may differ in width.
    """

    width: int
    capitals: float
    spaced: bool
    certain: bool


def find_layout(blocks: Sequence[Block], *, wrapped: bool | None) -> Layout | None:
    """The layout, or None for a text whose line ends are meant.

    A line is a wrapped one if the first word of the next would have made it longer than the
    width; the next then begins as words in mid-sentence do, mostly in lower case. Verse fails
    both, one paragraph a line the second. Much dialogue hides it, so lines that break a sentence
    may say it alone: those of prose nearly all end at one width.

    Args:
        wrapped: True where it is known to be wrapped.
    """
    sample = _sample(blocks)
    pairs = [pair for pair in sample if len(pair[0]) <= _LONGEST_WRAP]
    # Text with one paragraph a line has a few that are short, and those say nothing.
    if not pairs or (not wrapped and len(pairs) < _MIN_SHORT_SHARE * len(sample)):
        return None
    width = _width(pairs)
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
    narrowest = _NARROWEST_CJK_WRAP if cjk else _NARROWEST_WRAP
    if not wrapped and not (found and width >= narrowest):
        width = _width_of_broken(pairs)
        if width < narrowest:
            return None
    n_lines = sum(len(block.lines) for block in blocks)
    spaced = n_lines <= _SPACED_BLOCK_LINES * len(blocks)
    return Layout(width, capitals, spaced, certain=bool(wrapped))


def _width(pairs: Sequence[tuple[str, str]]) -> int:
    lengths = sorted(len(line) for line, _ in pairs)
    return lengths[min(len(lengths) - 1, int(_WIDTH_PERCENTILE * len(lengths)))]


def _width_of_broken(pairs: Sequence[tuple[str, str]]) -> int:
    """The width at which sentences are broken, 0 where few are or they have none."""
    broken = [(line, after) for line, after in pairs if goes_on(line, after)]
    if len(broken) < max(_MIN_BROKEN, _MIN_BROKEN_SHARE * len(pairs)):
        return 0
    width = _width(broken)
    n_fitting = sum(overflows(line, after, width) for line, after in broken)
    return width if n_fitting >= _BROKEN_FITTING_SHARE * len(broken) else 0


def overflows(line: str, after: str, width: int) -> bool:
    """Whether `after`'s first word on `line` would have made it longer than `width`."""
    start = after[0]
    if start == IDEOGRAPHIC_SPACE:
        # Paragraphs begin so.
        return False
    room = width - len(line) - 1
    if room < 0:
        return True
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
