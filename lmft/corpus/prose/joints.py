"""Which lines of a block were one line before it was wrapped."""

from __future__ import annotations

import re
from itertools import pairwise
from math import inf

from lmft.corpus.prose.blocks import SENTENCE_ENDS
from lmft.corpus.prose.wrapping import IDEOGRAPHIC_SPACE, Layout, overflows

# Chance below which a row of capitals at line begins is no accident: it is verse.
_VERSE_CHANCE = 0.002
# A short text may have had none by chance.
_LEAST_CAPITALS = 0.03
# Shares of the width, and of a block's lines.
_RAGGED = 0.75
_FULL = 0.85
_SHORT = 0.6
_NARROW = 0.9
_OVERLONG = 1.1
_MOSTLY = 0.5
_NARROWEST = 30
_QUOTES = frozenset("\"“„«‹「『‘'")
_SPEECH_STARTS = _QUOTES | frozenset("-–—")
_DASHES = ("--", "——")
_SPACES = frozenset((" ", "\t", "\xa0", IDEOGRAPHIC_SPACE))
_ITEM_MARKS = frozenset(".)")
_PLAIN_STARTS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_ITEM = re.compile(r"[ \t]*(?:[-*+•‣·][ \t]+|\(?(?:\d{1,3}|[a-zA-Z]|[ivxIVX]{1,5})[.)][ \t]+)\S")
_NAME = r"[A-Z][\w.'’-]{1,20}"
_SPOKEN = re.compile(rf"[ \t]*(?:[A-Z][A-Z0-9 .'’-]{{1,30}}|{_NAME}(?: {_NAME})?):[ \t]+\S")
_COLUMNS = re.compile(r"\S(?:   +|\t+)\S|\|.*\|")


def find_joints(texts: list[str], layout: Layout) -> list[bool]:
    """For each line but the first, whether it goes on the line before.

    Joined are lines that could not have held the next word, and those among them that end early
    in mid-sentence; where blank lines part the paragraphs, those that are nearly full, too. Where
    some had room and all begin with a capital, it is verse. Never joined are list items, tables,
    script lines, a player's lines, speeches on lines of their own, and first lines set in.
    """
    starts = [text[0] for text in texts]
    if not _SPACES.isdisjoint(starts):
        starts = [text.lstrip()[0] for text in texts]
    lower = [start.islower() for start in starts[1:]]
    n_lower = sum(lower)
    pairs = list(pairwise(texts))
    width = layout.width
    fits = [overflows(line, after, width) for line, after in pairs]
    share = sum(fits) / len(fits)
    if share == 1:
        joints = fits
    elif not n_lower and _is_verse(texts, starts[1:], layout):
        return [False] * len(pairs)
    elif len(pairs) > 1 and 2 * n_lower > len(pairs) and _is_narrow_prose(texts, width):
        joints = [True] * len(pairs)
    else:
        # Without blank lines a block is the whole text, and its share says nothing.
        mostly = share >= _MOSTLY or not layout.spaced
        full = mostly and layout.spaced and not layout.certain
        joints = [
            ((mostly or small) and (fit or _is_ragged(line, width)))
            or (full and _is_nearly_full(line, width, small=small))
            or (layout.certain and _is_broken_sentence(line, after, width))
            or (small and _is_broken_word(line))
            for (line, after), small, fit in zip(pairs, lower, fits, strict=True)
        ]
    if _may_have_structure(texts, starts):
        return _without_structure(texts, starts, joints, layout)
    return joints


def _is_verse(texts: list[str], starts: list[str], layout: Layout) -> bool:
    """Every line begins with a capital, and so many do not by chance."""
    capitals = sum(start.isupper() or start in _QUOTES for start in starts)
    return (
        capitals == len(starts)
        and max(layout.capitals, _LEAST_CAPITALS) ** len(starts) < _VERSE_CHANCE
        and not all(text.isupper() for text in texts)
    )


def _is_narrow_prose(texts: list[str], width: int) -> bool:
    """A letter or motto, wrapped at a width of its own."""
    own_width = max(map(len, texts))
    return _NARROWEST <= own_width <= _NARROW * width and all(
        overflows(line, after, own_width) for line, after in pairwise(texts)
    )


def _is_ragged(line: str, width: int) -> bool:
    """A line that ends early, but neither very early nor with a sentence."""
    return len(line) >= _RAGGED * width and line[-1] not in SENTENCE_ENDS


def _is_nearly_full(line: str, width: int, *, small: bool) -> bool:
    """Whatever it ends with: its paragraph would end with a blank line."""
    return len(line) >= (_RAGGED if small else _FULL) * width


def _is_broken_sentence(line: str, after: str, width: int) -> bool:
    """No sentence ends there, and it is not clearly short: print's letters differ in width."""
    ended = line[-1] in SENTENCE_ENDS or line[-2:] in _DASHES or after[0] in _SPEECH_STARTS
    return len(line) >= _SHORT * width and not ended


def _is_broken_word(line: str) -> bool:
    return line[-1] in "-‐\u00ad" and line[-2:-1].isalpha()


def _may_have_structure(texts: list[str], starts: list[str]) -> bool:
    """A cheap test that spares most blocks of prose the dear one."""
    if not _PLAIN_STARTS.issuperset(starts) or not _ITEM_MARKS.isdisjoint(
        [text[1:2] for text in texts]
    ):
        return True
    text = "\n".join(texts)
    return text.count(": ") > 1 or "   " in text or "\t" in text or "|" in text


def _is_table(texts: list[str]) -> bool:
    if not any("   " in text or "\t" in text or "|" in text for text in texts):
        return False
    return sum(bool(_COLUMNS.search(text)) for text in texts) * 2 > len(texts)


def _without_structure(
    texts: list[str], starts: list[str], joints: list[bool], layout: Layout
) -> list[bool]:
    """The same joints, but for lines whose begin says that they are a unit of their own."""
    if _is_table(texts):
        return [False] * len(joints)
    speeches = [start in _SPEECH_STARTS for start in starts]
    dialogue = not layout.spaced or (len(texts) > 2 and all(speeches))
    items = [bool(_ITEM.match(text)) for text in texts]
    listed = items[0] or sum(items) > 1
    spoken = [": " in text and bool(_SPOKEN.match(text)) for text in texts]
    scripted = sum(spoken) > 1
    margins = [len(text) - len(text.lstrip()) for text in texts]
    margin = min(margins)
    # In a dense text a line that was never wrapped is a paragraph.
    overlong = inf if layout.spaced else _OVERLONG * layout.width
    kept: list[bool] = []
    for index, joins in enumerate(joints, 1):
        line, small = texts[index - 1], starts[index].islower()
        apart = (
            starts[index - 1] == ">"
            or starts[index] == ">"
            or (listed and items[index])
            or (scripted and spoken[index])
            or (
                dialogue and speeches[index] and (line[-1] in SENTENCE_ENDS or line[-2:] in _DASHES)
            )
            or (_is_set_in(line, margins[index - 1], margins[index], margin) and not small)
            or texts[index][0] == IDEOGRAPHIC_SPACE
            or (not small and len(line) > overlong and line[-1] in SENTENCE_ENDS)
        )
        kept.append(joins and not apart)
    return kept


def _is_set_in(line: str, margin_before: int, margin: int, least: int) -> bool:
    """Whether a first line's indentation begins a paragraph, maybe after one of a single line."""
    return margin > margin_before or (margin > least and line[-1] in SENTENCE_ENDS)
