"""Tools in a row: which there are, and which an assistant's message calls."""

from __future__ import annotations

import json
from typing import Any

from lmft.corpus.documents import ToolCall
from lmft.corpus.readers.rows.fault import RowFault, json_kind
from lmft.corpus.readers.rows.strict_json import JsonFault, parse


def read_tools(value: Any) -> str:
    """The row's `tools` as compact JSON text; empty where there are none. Raises RowFault."""
    if isinstance(value, str) and value.strip():
        # ShareGPT's exports hold them as text.
        try:
            value = parse(value)
        except JsonFault as fault:
            raise RowFault(f"`tools`: {fault}") from None
    if not value and (value is None or isinstance(value, (str, list))):
        return ""
    if not isinstance(value, list) or not all(isinstance(tool, dict) for tool in value):
        raise RowFault("`tools` is not a list of objects")
    return _compact(value)


def read_tool_calls(message: dict[str, Any]) -> tuple[ToolCall, ...]:
    """Raises RowFault."""
    calls = message.get("tool_calls")
    if calls is None:
        calls = []
    if not isinstance(calls, list):
        raise RowFault(f"`tool_calls` is {json_kind(calls)}; give a list")
    functions = [call.get("function") if isinstance(call, dict) else None for call in calls]
    # What OpenAI had before `tool_calls`.
    if message.get("function_call") is not None:
        functions.append(message["function_call"])
    return tuple(_tool_call(function) for function in functions)


def _tool_call(function: Any) -> ToolCall:
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise RowFault("a tool call has no function with a name; give {name, arguments}")
    if not function["name"]:
        raise RowFault("a tool call's function has an empty name")
    arguments = function.get("arguments")
    if isinstance(arguments, dict):
        arguments = _compact(arguments)
    if not isinstance(arguments, str):
        raise RowFault(
            f"`arguments` of a tool call is {json_kind(arguments)}; give a string of JSON"
        )
    return ToolCall(function["name"], arguments)


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
