"""The known row shapes to documents, one function a shape. All raise RowFault."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lmft.corpus.documents import Document, Message, Role
from lmft.corpus.readers.rows.chat_messages import (
    SHAREGPT_ROLES,
    check_learnable,
    read_messages,
)
from lmft.corpus.readers.rows.fault import RowFault, json_kind
from lmft.corpus.readers.rows.strict_json import JsonFault, parse
from lmft.corpus.readers.rows.tool_calls import read_tools
from lmft.corpus.readers.turns import join_turns

Row = Mapping[str, Any]


def openai_chat(row: Row, source: str) -> Document:
    messages = read_messages(row["messages"], "messages")
    check_learnable(messages)
    return Document(source, "chat", messages=messages, tools=read_tools(row.get("tools")))


def prompt_completion(row: Row, source: str) -> Document:
    messages = _turn("user", row, "prompt"), _turn("assistant", row, "completion")
    return Document(source, "instruct", messages=messages)


def openai_preference(row: Row, source: str) -> Document:
    given = row["input"]
    if not isinstance(given, dict):
        raise RowFault(f"`input` is {json_kind(given)}; give an object with `messages`")
    return _preference(
        source,
        read_messages(given.get("messages"), "input.messages"),
        ("preferred_output", row["preferred_output"]),
        ("non_preferred_output", row["non_preferred_output"]),
        tools=read_tools(given.get("tools")),
    )


def preference(row: Row, source: str) -> Document:
    """TRL's: each of the three is a string or a list of messages."""
    prompt = row["prompt"]
    return _preference(
        source,
        read_messages(prompt, "prompt")
        if isinstance(prompt, list)
        else (_turn("user", row, "prompt"),),
        ("chosen", row["chosen"]),
        ("rejected", row["rejected"]),
    )


def sharegpt(row: Row, source: str) -> Document:
    where = "conversations" if "conversations" in row else "conversation"
    turns = row[where]
    keys = ("role", "content")
    if isinstance(turns, list):
        if any(isinstance(turn, dict) and "from" in turn for turn in turns):
            keys = ("from", "value")
        turns = [_called(turn) for turn in turns]
    messages = read_messages(turns, where, SHAREGPT_ROLES, *keys)
    check_learnable(messages)
    return Document(
        source,
        "chat",
        messages=join_turns((*_system(row), *messages)),
        tools=read_tools(row.get("tools")),
    )


def alpaca(row: Row, source: str) -> Document:
    """`history` holds earlier turns of the same conversation: replies like the last, so learnt."""
    parts = [text for key in ("instruction", "input") if (text := _optional_text(row, key))]
    request = "\n\n".join(parts) or _text(row, "instruction")
    messages = (
        *_system(row),
        *_history(row.get("history")),
        Message("user", request),
        _turn("assistant", row, "output"),
    )
    return Document(source, "instruct", messages=join_turns(messages))


def plain_text(row: Row, source: str) -> Document:
    return Document(source, "story", text=_text(row, "text"))


def _preference(
    source: str,
    prompt: tuple[Message, ...],
    better: tuple[str, Any],
    worse: tuple[str, Any],
    tools: str = "",
) -> Document:
    chosen, rejected = (_answer(value, key, prompt) for key, value in (better, worse))
    if chosen == rejected:
        raise RowFault(f"`{better[0]}` and `{worse[0]}` are the same; nothing to prefer")
    return Document(
        source, "preference", messages=prompt, chosen=chosen, rejected=rejected, tools=tools
    )


def _answer(value: Any, key: str, prompt: tuple[Message, ...]) -> tuple[Message, ...]:
    if not isinstance(value, list):
        return (_turn("assistant", {key: value}, key),)
    answer = read_messages(value, key)
    # Some sets repeat the prompt at the head of both answers.
    if answer[: len(prompt)] == prompt:
        answer = answer[len(prompt) :]
    if not answer or answer[0].role != "assistant":
        raise RowFault(f"`{key}` does not go on from the prompt with an assistant message")
    return answer


def _called(turn: Any) -> Any:
    """ShareGPT's call of a tool, whose text is JSON, as OpenAI's; other turns as they are."""
    if not isinstance(turn, dict) or turn.get("from") != "function_call":
        return turn
    try:
        call = parse(turn["value"]) if isinstance(turn.get("value"), str) else None
    except JsonFault as fault:
        raise RowFault(f"the value of a function_call: {fault}") from None
    if not isinstance(call, dict):
        raise RowFault("the value of a function_call is no object with name and arguments")
    return {"from": "assistant", "value": None, "function_call": call}


def _history(value: Any) -> list[Message]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise RowFault(f"`history` is {json_kind(value)}; give a list of [request, reply] pairs")
    messages: list[Message] = []
    for index, pair in enumerate(value):
        if not isinstance(pair, list) or len(pair) != 2:
            raise RowFault(f"history[{index}] is not a pair of request and reply")
        both = dict(zip(("request", "reply"), pair, strict=True))
        try:
            messages += [_turn("user", both, "request"), _turn("assistant", both, "reply")]
        except RowFault as fault:
            raise RowFault(f"history[{index}]: {fault}") from None
    return messages


def _system(row: Row) -> tuple[Message, ...]:
    text = _optional_text(row, "system")
    return (Message("system", text),) if text else ()


def _turn(role: Role, row: Row, key: str) -> Message:
    return Message(role, _text(row, key))


def _optional_text(row: Row, key: str) -> str:
    """Empty for what is missing, null or blank."""
    value = row.get(key)
    if value is None or (isinstance(value, str) and not value.strip()):
        return ""
    return _text(row, key)


def _text(row: Row, key: str) -> str:
    value = row[key]
    if not isinstance(value, str):
        raise RowFault(f"`{key}` is {json_kind(value)}; give a string")
    if not value.strip():
        raise RowFault(f"`{key}` is empty; give text")
    return value
