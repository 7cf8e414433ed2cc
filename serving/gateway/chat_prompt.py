"""Messages to the tokens that a model is asked with, in the form that it learnt.

An adapter has a format contract: `Name: text` lines for a character, a story in which the user
acts for a narrator. A base that has a chat template of its own was taught by it and is asked by
it; the engine renders, since it has the base's files. A base without one gets `Name: text`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from lmft.corpus.cast import speaker_name
from lmft.corpus.documents import Message, Role
from lmft.format.contract import FormatContract, default_stops
from lmft.format.fold import fold_quotes
from lmft.format.render import render_chat_prompt
from lmft.play.actions import Mode
from lmft.play.story import Turn, render_story
from serving.engine.refusals import UpstreamRefusal
from serving.gateway import tools
from serving.gateway.errors import RequestError, public
from serving.gateway.pieces import pieces
from serving.gateway.sampling import encoded, prompt_ids
from serving.gateway.schemas.chat import ChatMessage, Tool
from serving.pool.lease import Lease


@dataclass(frozen=True)
class ChatPrompt:
    """Attributes:
    ids: the prompt's tokens. stops: what ends the answer where the request names nothing.
    """

    ids: list[int]
    stops: list[str]


async def chat_prompt(
    messages: Sequence[ChatMessage], lease: Lease, offered: Sequence[Tool] = ()
) -> ChatPrompt:
    """The prompt whose continuation is the assistant's next message.

    Raises:
        RequestError: tools where the model was taught none; messages that its template refuses.
    """
    contract = lease.model.contract
    is_base = contract.kind == "base"
    if contract.chat_template == "base":
        ids = await _by_template(messages, lease, offered)
        return ChatPrompt(ids, [] if is_base else list(contract.stop))
    if offered or any(message.role == "tool" or message.tool_calls for message in messages):
        raise RequestError(
            "This model was not taught tools.",
            "Leave out `tools` and messages about them, or ask a base whose own chat template "
            "has them; `response_format` holds any model to a JSON schema.",
            code="unsupported_parameter",
            param="tools" if offered else "messages",
        )
    text = render_plain(messages, contract)
    ids = await encoded(lambda: prompt_ids(text, contract, lease.encoder, begins=True), len(text))
    return ChatPrompt(ids, list(default_stops("chat", None) if is_base else contract.stop))


def render_plain(messages: Sequence[ChatMessage], contract: FormatContract) -> str:
    """A narrator gets a story in which the user acts, every other model `Name: text` lines."""
    if contract.kind in ("chat", "instruct", "base"):
        return render_chat_prompt([_message(message) for message in messages], contract)
    mode: Mode = "do" if contract.kind == "adventure" else "story"
    turns = [
        Turn("player" if message.role == "user" else "narrator", message.text, mode)
        for message in messages
    ]
    if turns[0].by == "player" and contract.opening:
        turns.insert(0, Turn("narrator", contract.opening))
    return render_story(turns, contract)


def _message(message: ChatMessage) -> Message:
    # A name stands before its turn, as in a script that was learnt: one line, no colon.
    name = speaker_name(message.name) if message.name else None
    return Message(_role(message), message.text, name=name)


def _role(message: ChatMessage) -> Role:
    return "system" if message.role == "developer" else message.role


async def _by_template(
    messages: Sequence[ChatMessage], lease: Lease, offered: Sequence[Tool]
) -> list[int]:
    question: dict[str, Any] = {
        "model": lease.model.engine_name,
        "messages": [_for_template(message, lease.model.contract) for message in messages],
        "add_generation_prompt": True,
    }
    if offered:
        question["tools"] = [tool.model_dump(exclude_none=True) for tool in offered]
    for field in ("messages", "tools"):
        _refuse_marks(question.get(field), lease.encoder.special_tokens, field)
    try:
        ids: list[int] = (await lease.client.json("/tokenize", question))["tokens"]
    except UpstreamRefusal as refusal:
        raise RequestError(
            f"The base's chat template refuses these messages: {public(refusal.message)}",
            param="messages",
        ) from refusal
    if offered:
        _require_told("".join(await pieces(ids, lease)), offered)
    return ids


def _refuse_marks(value: Any, marks: Collection[str], where: str) -> None:
    """The engine reads a rendered chat with its marks: one in a text would end a turn."""
    if isinstance(value, str) and (mark := next((m for m in marks if m in value), None)):
        raise RequestError(
            f"`{mark}` is no text to this model but a mark of its chat template.",
            f"Take it out of {where}.",
            param=where,
        )
    if isinstance(value, dict | list):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            _refuse_marks(key, marks, where)
            _refuse_marks(part, marks, f"{where}.{key}")


def _require_told(prompt: str, offered: Sequence[Tool]) -> None:
    """A template that knows no tools leaves them out without a word."""
    if not all(tool.function.name in prompt for tool in offered):
        raise RequestError(
            "This base's chat template has no place for tools.",
            "Leave out `tools`; `response_format` holds any model to a JSON schema.",
            code="unsupported_parameter",
            param="tools",
        )


async def require_readable_calls(prompt: Sequence[int], lease: Lease) -> None:
    """Raises RequestError where the template teaches a form of calls that is not read here."""
    if tools.OPEN not in "".join(await pieces(prompt, lease)):
        raise RequestError(
            "This base writes its calls in a form that lmft does not read.",
            "Set `tool_choice` to `required` or to one function.",
            code="unsupported_parameter",
            param="tool_choice",
        )


def _for_template(message: ChatMessage, contract: FormatContract) -> dict[str, Any]:
    text = fold_quotes(message.text) if contract.fold_quotes else message.text
    rendered: dict[str, Any] = {"role": _role(message), "content": text}
    if message.name:
        rendered["name"] = speaker_name(message.name)
    if message.tool_calls:
        rendered["tool_calls"] = [call.model_dump() for call in message.tool_calls]
    if message.tool_call_id:
        rendered["tool_call_id"] = message.tool_call_id
    return rendered
