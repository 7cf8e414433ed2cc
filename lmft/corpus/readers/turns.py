"""Messages joined to turns, the same in every reader."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import groupby

from lmft.corpus.documents import Message


def join_turns(messages: Iterable[Message]) -> tuple[Message, ...]:
    """Messages of one speaker that directly follow each other become one, joined by line ends.

    What is learnt stays apart from what is not. Calls of tools and their results stay apart:
    each answers another.
    """
    joined: list[Message] = []
    for _, group in groupby(enumerate(messages), key=_voice):
        turns = [message for _, message in group]
        if len(turns) > 1:
            content = "\n".join(turn.content for turn in turns)
            joined.append(replace(turns[0], content=content))
        else:
            joined.append(turns[0])
    return tuple(joined)


def _voice(numbered: tuple[int, Message]) -> tuple[str, str | None, bool, int]:
    index, message = numbered
    apart = message.tool_calls or message.role == "tool"
    return message.role, message.name, message.trained, index if apart else -1
