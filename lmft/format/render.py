"""Turns and messages to the text the model sees: the same function for training and serving."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from lmft.corpus.documents import Message
from lmft.format.contract import FormatContract, Speakers


class Span(NamedTuple):
    """A piece of rendered text, and whether the model is to learn it."""

    text: str
    trained: bool


def render_conversation(messages: Sequence[Message], speakers: Speakers) -> list[Span]:
    """A conversation as `Name: text` lines, for training: loss on the assistant's words only.

    The line end after a reply is trained: it is how the model learns to stop. A system
    message goes in front as plain text.
    """
    spans: list[Span] = []
    for message in messages:
        text = _one_block(message.content)
        if message.role == "system":
            spans.append(Span(f"{text}\n", trained=False))
        elif message.role == "user":
            spans.append(Span(f"{speakers.user}: {text}\n", trained=False))
        else:
            spans.append(Span(f"{speakers.assistant}:", trained=False))
            spans.append(Span(f" {text}\n", trained=True))
    return spans


def render_chat_prompt(messages: Sequence[Message], contract: FormatContract) -> str:
    """The prompt whose continuation is the assistant's next line (`plain` chat templates)."""
    speakers = contract.speakers or Speakers()
    spans = render_conversation(messages, speakers)
    return "".join(span.text for span in spans) + f"{speakers.assistant}:"


def _one_block(content: str) -> str:
    """A blank line inside a turn would look like the end of it: keep single line ends only."""
    return "\n".join(line for line in content.strip().splitlines() if line.strip())
