"""A story as text to read, and as messages to train on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Row

from lmft.library.story import Story, StoryKind
from lmft.play.actions import player_line

Messages = list[dict[str, str]]
# More than any context holds; what is further back goes.
MAX_CONTEXT_CHARACTERS = 200_000
_ROLES = {"narrator": "assistant", "player": "user", "system": "system"}
_NAMES = {"narrator": "Narrator", "player": "Player"}


def as_text(story: Story, way: Iterable[Row[Any]]) -> str:
    """Turns from the beginning on, as a person reads them; a story and an adventure in the shape
    that the corpus compiler takes for one (`> You look around.`), a chat as a script."""
    pieces = [_script(turn) if story.kind == "chat" else _prose(turn) for turn in way]
    return "\n\n".join(pieces) + "\n" if pieces else ""


def as_messages(kind: StoryKind, way: Sequence[Row[Any]]) -> Messages:
    """OpenAI's messages, the newest as far as they are within MAX_CONTEXT_CHARACTERS."""
    kept: Messages = []
    room = MAX_CONTEXT_CHARACTERS
    for turn in reversed(way):
        text = turn.text if kind == "chat" else _prose(turn)
        room -= len(text)
        if room < 0:
            break
        named = {"name": turn.name} if turn.name else {}
        kept.append({"role": _ROLES[turn.by], "content": text, **named})
    return kept[::-1]


def _prose(turn: Row[Any]) -> str:
    if turn.by != "player":
        return str(turn.text)
    if turn.shown:
        return str(turn.shown)
    if turn.mode in (None, "story"):
        return str(turn.text)
    return f"> {player_line(turn.mode, turn.text)}"


def _script(turn: Row[Any]) -> str:
    if turn.by == "system":
        return f"({turn.text})"
    return f"{turn.name or _NAMES[turn.by]}: {turn.text}"
