"""The messages of a row: checked one by one, then turned into ours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lmft.corpus.documents import Message, Role
from lmft.corpus.readers.rows.fault import RowFault, json_kind
from lmft.corpus.readers.rows.strict_json import shown_key
from lmft.corpus.readers.rows.tool_calls import read_tool_calls
from lmft.corpus.readers.turns import join_turns

OPENAI_ROLES: Mapping[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}
# ShareGPT never was a standard: these are the names in its wide-spread exports.
SHAREGPT_ROLES: Mapping[str, Role] = {
    **OPENAI_ROLES,
    "human": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
    "observation": "tool",
}


def read_messages(
    value: Any,
    where: str,
    roles: Mapping[str, Role] = OPENAI_ROLES,
    role_key: str = "role",
    content_key: str = "content",
) -> tuple[Message, ...]:
    """The turns of a list of messages; those of one speaker in a row are joined.

    Raises:
        RowFault: names the first wrong message as `where[index]`, counted from 0.
    """
    if not isinstance(value, list):
        raise RowFault(f"`{where}` is {json_kind(value)}; give a list of messages")
    if not value:
        raise RowFault(f"`{where}` is empty; give at least one message")
    messages: list[Message] = []
    for index, item in enumerate(value):
        try:
            messages.append(read_message(item, roles, role_key, content_key))
        except RowFault as fault:
            raise RowFault(f"{where}[{index}]: {fault}") from None
    return join_turns(messages)


def read_message(
    item: Any,
    roles: Mapping[str, Role],
    role_key: str = "role",
    content_key: str = "content",
) -> Message:
    """Raises RowFault."""
    if not isinstance(item, dict):
        raise RowFault(f"is {json_kind(item)}; give an object with a role and content")
    role = _role(item, roles, role_key)
    calls = read_tool_calls(item)
    if calls and role != "assistant":
        raise RowFault("calls a tool, which only an assistant can")
    return Message(
        role=role,
        content=_content(item, content_key, may_be_empty=bool(calls)),
        name=_name(item),
        trained=_trained(item, role),
        tool_calls=calls,
    )


def check_learnable(messages: Iterable[Message]) -> None:
    """Raises RowFault when no assistant's message is there to be learnt."""
    replies = [message for message in messages if message.role == "assistant"]
    if not replies:
        raise RowFault("no assistant message, so nothing to learn from; add the reply")
    if not any(reply.trained for reply in replies):
        raise RowFault("every assistant message has weight 0, so nothing to learn from")


def _role(item: dict[str, Any], roles: Mapping[str, Role], key: str) -> Role:
    if key not in item:
        raise RowFault(f"has no `{key}`")
    value = item[key]
    if not isinstance(value, str):
        raise RowFault(f"`{key}` is {json_kind(value)}; give a string")
    if value not in roles:
        raise RowFault(f"unknown role `{shown_key(value)}`; known: {', '.join(roles)}")
    return roles[value]


def _content(item: dict[str, Any], key: str, *, may_be_empty: bool) -> str:
    value = item.get(key)
    if value is None:
        if may_be_empty:
            return ""
        raise RowFault(f"`{key}` is null; give text" if key in item else f"has no `{key}`")
    if isinstance(value, list):
        # Joined without anything between, as the gateway does with a request's parts.
        value = "".join(_part(part, index, key) for index, part in enumerate(value))
    if not isinstance(value, str):
        raise RowFault(f"`{key}` is {json_kind(value)}; give a string")
    if not value.strip() and not may_be_empty:
        raise RowFault(f"`{key}` is empty; give text or remove the message")
    return value


def _part(part: Any, index: int, key: str) -> str:
    if not isinstance(part, dict) or not isinstance(part.get("type"), str):
        raise RowFault(f"part {index} of `{key}` is no object with a type; give {{type, text}}")
    if part["type"] != "text":
        kind = shown_key(part["type"])
        raise RowFault(f"part {index} of `{key}` is of type `{kind}`; lmft is text only")
    text = part.get("text")
    if not isinstance(text, str):
        raise RowFault(f"`text` of part {index} of `{key}` is {json_kind(text)}; give a string")
    return text


def _name(item: dict[str, Any]) -> str | None:
    name = item.get("name")
    if name is not None and not isinstance(name, str):
        raise RowFault(f"`name` is {json_kind(name)}; give a string")
    return name or None


def _trained(item: dict[str, Any], role: Role) -> bool:
    weight = item.get("weight")
    if weight is None:
        return True
    if type(weight) is not int or weight not in (0, 1):
        raise RowFault("`weight` is neither 0 nor 1")
    if role != "assistant":
        raise RowFault("`weight` is only for an assistant's message; remove it")
    return weight == 1
