"""Turns and messages to the text the model sees: the same function for training and serving."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

from lmft.corpus.documents import Message, ToolCall
from lmft.format.contract import FormatContract, Speakers


class Span(NamedTuple):
    """A piece of rendered text: whether the model is to learn it, and whether a turn begins."""

    text: str
    trained: bool
    starts_turn: bool = False


def render_conversation(
    messages: Sequence[Message], speakers: Speakers, tools: str = ""
) -> list[Span]:
    """A conversation as `Name: text` lines, for training: loss on the assistant's words only.

    A turn that has a name of its own is written under it. The line end after a reply is
    trained: it is how the model learns to stop. A system message goes in front as plain text.
    Tools are written as the JSON that they are: the definitions (`tools`) first, a call as a
    line of the assistant's turn, its result under the name `Tool`.
    """
    spans = [Span(f"Tools: {tools}\n", trained=False, starts_turn=True)] if tools else []
    for message in messages:
        text = _one_block(message.content)
        if message.role == "system":
            spans.append(Span(f"{text}\n", trained=False, starts_turn=True))
        elif message.role == "assistant":
            name = message.name or speakers.assistant
            calls = "".join(f"\n{_call_line(call)}" for call in message.tool_calls)
            spans.append(Span(f"{name}:", trained=False, starts_turn=True))
            spans.append(Span(f" {(text + calls).strip()}\n", trained=message.trained))
        else:
            name = message.name or (speakers.user if message.role == "user" else "Tool")
            spans.append(Span(f"{name}: {text}\n", trained=False, starts_turn=True))
    return spans


def _call_line(call: ToolCall) -> str:
    return f'{{"name": {json.dumps(call.name)}, "arguments": {call.arguments}}}'


def render_chat_prompt(messages: Sequence[Message], contract: FormatContract) -> str:
    """The prompt whose continuation is the assistant's next line (`plain` chat templates)."""
    speakers = contract.speakers or Speakers()
    spans = render_conversation(messages, speakers)
    return "".join(span.text for span in spans) + f"{speakers.assistant}:"


def _one_block(content: str) -> str:
    """A blank line inside a turn would look like the end of it: keep single line ends only."""
    return "\n".join(line for line in content.strip().splitlines() if line.strip())
