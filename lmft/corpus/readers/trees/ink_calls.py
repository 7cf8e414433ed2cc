"""Who called whom in an Ink story, and what it offers the player."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from lmft.corpus.readers.trees.ink_container import Place
from lmft.corpus.readers.trees.ink_values import pop

_HAS_CONDITION, _HAS_START, _HAS_OWN_WORDS, _IS_FALLBACK = 1, 2, 4, 8
Call = Literal["function", "tunnel", "thread"]


class Return(NamedTuple):
    """Where a function, tunnel or thread was called from."""

    kind: Call
    place: Place


class Option(NamedTuple):
    """A way on.

    Attributes:
        words: the choice's; empty where the story goes on by itself, in Ink's case when no other
            choice is left.
        place: where it leads; None where that is not in the file.
        tunnels: those that it is in.
    """

    words: str
    path: str
    place: Place | None
    tunnels: tuple[Return, ...]


@dataclass
class Frame:
    """A call under way. `mark` is how much was told when it began."""

    back: Return | None = None
    mark: int = 0
    evaluating: bool = False
    temporary: dict[str, Any] = field(default_factory=dict)


def tunnels(frames: Sequence[Frame]) -> tuple[Return, ...]:
    """Those under way: what a choice made here will return to."""
    backs = (frame.back for frame in frames)
    return tuple(back for back in backs if back is not None and back.kind == "tunnel")


def take_words(flags: Any, stack: list[Any]) -> str:
    """A choice's words, taken from the stack as its flags say; its condition is taken as met."""
    flags = flags if isinstance(flags, int) else _HAS_OWN_WORDS
    if flags & _HAS_CONDITION:
        pop(stack)
    own = pop(stack) if flags & _HAS_OWN_WORDS else None
    start = pop(stack) if flags & _HAS_START else None
    words = (word for word in (start, own) if isinstance(word, str))
    return "" if flags & _IS_FALLBACK else "".join(words)
