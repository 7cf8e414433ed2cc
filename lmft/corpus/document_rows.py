"""A document as a line of JSON and back: the rows of `train.jsonl` and `heldout.jsonl`.

The shapes are those that other trainers read too (`text`, OpenAI's `messages`, OpenAI's
preference); what only lmft knows stands under `lmft`.
"""

from __future__ import annotations

import json
from typing import Any

from lmft.corpus.documents import Document, Message, ToolCall


def to_row(document: Document) -> str:
    """One line without its end."""
    row: dict[str, Any] = {}
    if document.kind == "preference":
        prompt: dict[str, Any] = {"messages": [_to_turn(turn) for turn in document.messages]}
        if document.tools:
            prompt["tools"] = json.loads(document.tools)
        row["input"] = prompt
        row["preferred_output"] = [_to_turn(turn) for turn in document.chosen]
        row["non_preferred_output"] = [_to_turn(turn) for turn in document.rejected]
    elif document.messages:
        row["messages"] = [_to_turn(turn) for turn in document.messages]
        if document.tools:
            row["tools"] = json.loads(document.tools)
    else:
        row["text"] = document.text
    row["lmft"] = {
        "source": document.source,
        "kind": document.kind,
        "story": document.story,
        "part": document.part,
        "scene": document.scene,
        "begins": document.begins,
        "ends": document.ends,
        **({"uncast": True} if document.uncast else {}),
        **({"retold": document.retold} if document.retold else {}),
    }
    return json.dumps(row, ensure_ascii=False, separators=(",", ":"))


def from_row(line: str) -> Document:
    """The document of a line that `to_row` wrote."""
    row = json.loads(line)
    own = row["lmft"]
    prompt = row.get("input", row)
    return Document(
        source=own["source"],
        kind=own["kind"],
        text=row.get("text", ""),
        messages=_from_turns(prompt.get("messages", [])),
        chosen=_from_turns(row.get("preferred_output", [])),
        rejected=_from_turns(row.get("non_preferred_output", [])),
        begins=own["begins"],
        ends=own["ends"],
        scene=own["scene"],
        story=own["story"],
        part=own["part"],
        uncast=own.get("uncast", False),
        retold=tuple((start, end) for start, end in own.get("retold", [])),
        tools=json.dumps(prompt["tools"], ensure_ascii=False) if "tools" in prompt else "",
    )


def _to_turn(message: Message) -> dict[str, Any]:
    turn: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.name is not None:
        turn["name"] = message.name
    if not message.trained:
        turn["weight"] = 0
    if message.tool_calls:
        turn["tool_calls"] = [
            {"type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    return turn


def _from_turns(turns: list[dict[str, Any]]) -> tuple[Message, ...]:
    return tuple(
        Message(
            role=turn["role"],
            content=turn["content"],
            name=turn.get("name"),
            trained=turn.get("weight", 1) != 0,
            tool_calls=tuple(
                ToolCall(call["function"]["name"], call["function"]["arguments"])
                for call in turn.get("tool_calls", [])
            ),
        )
        for turn in turns
    )
