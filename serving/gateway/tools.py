"""Calls of tools out of a model's text, for bases whose own chat template knows tools.

vLLM can read them only with one parser for the whole server, so the gateway does it. A call that
is asked for (`required`, or a function by name) is held to its schema by the engine's grammar,
whatever the base; one that the model may make (`auto`) is read where the template teaches the
form `<tool_call>{"name": ..., "arguments": ...}</tool_call>`, as Qwen's and Hermes' do.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from typing import Any, Literal, Protocol

from serving.gateway.schemas.chat import ChatRequest, NamedTool, Tool
from serving.gateway.schemas.json_schema import moved

OPEN, CLOSE = "<tool_call>", "</tool_call>"
MAX_PARALLEL_CALLS = 8

Calling = Literal["none", "auto", "asked"]
Delta = dict[str, Any]


def calling(body: ChatRequest) -> Calling:
    if not body.tools or body.tool_choice == "none":
        return "none"
    return "auto" if body.tool_choice in (None, "auto") else "asked"


def offered(body: ChatRequest) -> list[Tool]:
    """The tools that the model is told of: with `none`, it is asked to do without."""
    return list(body.tools or []) if calling(body) != "none" else []


def asked_form(body: ChatRequest) -> dict[str, Any]:
    """The JSON schema of one or more calls, of the named tool or of any."""
    tools = body.tools or []
    named = body.tool_choice.function.name if isinstance(body.tool_choice, NamedTool) else None
    wanted = [tool.function for tool in tools if named in (None, tool.function.name)]
    kinds = []
    for place, function in enumerate(wanted):
        prefix = f"/items/anyOf/{place}/properties/arguments"
        kinds.append(
            {
                "type": "object",
                "properties": {
                    "name": {"enum": [function.name]},
                    "arguments": moved(function.parameters or {"type": "object"}, prefix),
                },
                "required": ["name", "arguments"],
                "additionalProperties": False,
            }
        )
    most = MAX_PARALLEL_CALLS if body.parallel_tool_calls and named is None else 1
    return {"type": "array", "minItems": 1, "maxItems": most, "items": {"anyOf": kinds}}


class Reader(Protocol):
    """One answer's text, as it comes, to the deltas of a chat's message."""

    def feed(self, text: str) -> list[Delta]: ...

    def end(self, reason: str) -> tuple[list[Delta], str]:
        """What is left, and the finish reason in OpenAI's words."""
        ...


def reader(body: ChatRequest) -> Reader:
    match calling(body):
        case "none":
            return _Text()
        case "auto":
            return _MaybeCalls()
        case "asked":
            return _Calls("stop" if isinstance(body.tool_choice, NamedTool) else "tool_calls")


class _Text:
    """The space that follows `Name:` belongs to the format, not to the reply."""

    def __init__(self) -> None:
        self._begun = False

    def feed(self, text: str) -> list[Delta]:
        text = text if self._begun else text.lstrip()
        self._begun = self._begun or bool(text)
        return [{"content": text}] if text else []

    def end(self, reason: str) -> tuple[list[Delta], str]:
        return [], reason


class _Calls:
    """An answer that is one JSON list of calls; one that ran out of tokens stays text."""

    def __init__(self, reason: str) -> None:
        self._whole, self._reason = "", reason

    def feed(self, text: str) -> list[Delta]:
        self._whole += text
        return []

    def end(self, reason: str) -> tuple[list[Delta], str]:
        try:
            calls = json.loads(self._whole)
        except ValueError:
            return [{"content": self._whole}], reason
        return [_call_delta(number, call) for number, call in enumerate(calls)], self._reason


class _MaybeCalls:
    """Text with calls in it; what may be the beginning of a call is held back until it is clear."""

    def __init__(self) -> None:
        self._text, self._held, self._n_calls = _Text(), "", 0

    def feed(self, text: str) -> list[Delta]:
        self._held += text
        deltas = []
        while True:
            before, opened, rest = self._held.partition(OPEN)
            inside, closed, after = rest.partition(CLOSE)
            if not opened:
                keep = _overlap(self._held, OPEN)
                cut = len(self._held) - keep
                deltas += self._text.feed(self._held[:cut])
                self._held = self._held[cut:]
                return deltas
            deltas += self._text.feed(before)
            self._held = opened + rest
            if not closed:
                return deltas
            call = _parsed(inside)
            if call is None:
                deltas += self._text.feed(opened + inside + closed)
            else:
                deltas.append(_call_delta(self._n_calls, call))
                self._n_calls += 1
            self._held = after

    def end(self, reason: str) -> tuple[list[Delta], str]:
        call = _parsed(self._held.removeprefix(OPEN)) if self._held.startswith(OPEN) else None
        if call is not None:
            # The closing tag may be the model's end of text.
            deltas = [_call_delta(self._n_calls, call)]
            self._n_calls += 1
        else:
            deltas = self._text.feed(self._held)
        return deltas, "tool_calls" if self._n_calls and reason == "stop" else reason


def _overlap(text: str, mark: str) -> int:
    """How many of the last characters could be the first ones of `mark`."""
    sizes = range(min(len(text), len(mark) - 1), 0, -1)
    return next((size for size in sizes if mark.startswith(text[-size:])), 0)


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        call = json.loads(text)
    except ValueError:
        return None
    well_formed = isinstance(call, dict) and isinstance(call.get("name"), str)
    return call if well_formed and isinstance(call.get("arguments", {}), dict) else None


def _call_delta(number: int, call: dict[str, Any]) -> Delta:
    function = {"name": call["name"], "arguments": json.dumps(call.get("arguments", {}))}
    entry = {"id": f"call_{secrets.token_hex(12)}", "type": "function", "function": function}
    return {"tool_calls": [{"index": number, **entry}]}


def whole_message(deltas: Sequence[Delta]) -> dict[str, Any]:
    """The message that the deltas of a stream would have built."""
    content = "".join(delta.get("content", "") for delta in deltas)
    calls = [
        {key: call[key] for key in ("id", "type", "function")}
        for delta in deltas
        for call in delta.get("tool_calls", [])
    ]
    message: dict[str, Any] = {"role": "assistant", "content": content, "refusal": None}
    if calls:
        message |= {"content": content or None, "tool_calls": calls}
    return message
