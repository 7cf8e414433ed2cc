"""Which lines of a script are stage directions, and how far they go."""

from __future__ import annotations

from collections.abc import Sequence

from lmft.corpus.readers.scripts.layout import Layout
from lmft.corpus.readers.scripts.marks import (
    is_bracketed,
    is_few_words,
    is_heading,
    is_in_parentheses,
    is_setting,
    is_stage_business,
)

_MAX_BRACKET_LINES = 30
_MAX_MORE_LINES = 3


class Directions:
    """The directions among the lines of one script."""

    def __init__(self, texts: Sequence[str], layout: Layout) -> None:
        self._texts, self._layout = texts, layout

    def begins(self, index: int, *, after_blank: bool) -> bool:
        """Whether line `index` begins one; `after_blank`: a paragraph begins there, too."""
        text = self._texts[index]
        if self._layout.kind == "screenplay":
            return False
        if after_blank and is_setting(text):
            return True
        if is_bracketed(text) or self._bracket_end(index, "[]") is not None:
            return True
        # In verse a whole line may stand in parentheses and be spoken.
        if is_in_parentheses(text):
            return self._layout.kind == "NAME: words" or after_blank or self._layout.long_lines
        if after_blank and self._bracket_end(index, "()") is not None:
            return True
        before_blank = index + 1 >= len(self._texts) or not self._texts[index + 1].strip()
        if is_stage_business(text):
            return after_blank or text.rstrip().endswith(".") or before_blank
        # `Wrastle.` or `TABLEAU` as a paragraph of its own.
        return (
            self._layout.kind != "NAME: words"
            and after_blank
            and before_blank
            and is_few_words(text)
        )

    def end(self, index: int) -> int:
        """The index behind the last line of the direction that begins at `index`."""
        text = self._texts[index]
        last = self._bracket_end(index, "[]")
        if last is None and not is_in_parentheses(text):
            last = self._bracket_end(index, "()")
        if last is None:
            last = index
            if is_setting(text):
                while self._has_words(last + 1) and not is_heading(self._texts[last + 1]):
                    last += 1
            elif is_stage_business(text):
                while last < index + _MAX_MORE_LINES and self._goes_on(last):
                    last += 1
        return last + 1

    def _bracket_end(self, index: int, brackets: str) -> int | None:
        """The last line of a direction whose bracket closes on a later line."""
        opened, closed = brackets[0], brackets[1]
        text = self._texts[index].lstrip(" \t*_")
        if not text.startswith(opened) or closed in text:
            return None
        for end in range(index + 1, min(index + _MAX_BRACKET_LINES, len(self._texts))):
            if closed in self._texts[end]:
                return end if self._texts[end].rstrip(" .*_").endswith(closed) else None
        return None

    def _goes_on(self, index: int) -> bool:
        """`Enter Duke, and Lords like` / `Forresters.`: no full stop, and no blank or name next."""
        ended = self._texts[index].rstrip().endswith((".", "!", "]"))
        return not ended and self._has_words(index + 1)

    def _has_words(self, index: int) -> bool:
        """Whether the line is neither blank nor begins with a name."""
        return (
            index < len(self._texts)
            and bool(self._texts[index].strip())
            and self._layout.label(self._texts, index) is None
        )
