"""Tokens to text as it grows, and the stop strings in it."""

from __future__ import annotations

from collections.abc import Sequence

from tokenizers import Tokenizer
from tokenizers.decoders import DecodeStream


class GrowingText:
    """The text of one answer.

    A character whose bytes are spread over several tokens comes with the last of them. What may
    be the beginning of a stop string is held back until it is known not to be.

    Attributes:
        stop: the stop string that ended the text; it is cut off.
    """

    def __init__(
        self, tokenizer: Tokenizer, prompt: Sequence[int], stops: Sequence[str], min_tokens: int
    ) -> None:
        self._tokenizer = tokenizer
        # With the prompt before it, a first word keeps its space.
        self._stream = DecodeStream(ids=list(prompt), skip_special_tokens=True)
        self._stops = tuple(stops)
        self._held_back = max(map(len, stops), default=1) - 1
        self._min_tokens = min_tokens
        self._n_tokens = 0
        self._said = 0
        self._text = ""
        self.stop: str | None = None

    def add(self, token: int) -> None:
        self._n_tokens += 1
        try:
            new = self._stream.step(self._tokenizer, token) or ""
        except Exception:
            # tokenizers gives up, with no class of its own for it, where a token changes what the
            # text before it was (stray bytes); what was said stays said.
            self._stream = DecodeStream(skip_special_tokens=True)
            new = self._stream.step(self._tokenizer, token) or ""
        before, self._text = len(self._text), self._text + new
        if new and self._n_tokens > self._min_tokens:
            self._cut(before)

    def _cut(self, before: int) -> None:
        """At the stop string that was complete first, if it was completed by what is new."""
        found: list[tuple[int, int, str]] = []
        for number, stop in enumerate(self._stops):
            start = self._text.find(stop, max(0, before + 1 - len(stop)))
            if start >= 0:
                found.append((start + len(stop), number, stop))
        if found:
            end, _, self.stop = min(found)
            self._text = self._text[: end - len(self.stop)]

    def take(self, *, finished: bool) -> str:
        """What can be said now and was not said yet."""
        end = len(self._text) if finished else len(self._text) - self._held_back
        # A text shorter than what is held back says nothing, and nothing is taken back.
        end = max(self._said, end)
        new, self._said = self._text[self._said : end], end
        return new
