"""A story as JSON, for the browser's storage. What comes back from there is not trusted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, cast, get_args

from ui.models import Speakers
from ui.story import Mode, PlayerLine, Reply, Step, Story

VERSION = 1


def to_json(story: Story) -> dict[str, Any]:
    return {"version": VERSION, **asdict(story)}


def from_json(data: object) -> Story:
    """What `to_json` wrote; a fresh story for anything else."""
    if not isinstance(data, Mapping) or data.get("version") != VERSION:
        return Story()
    try:
        return _story(data)
    except (KeyError, TypeError, ValueError):
        return Story()


def _story(data: Mapping[str, Any]) -> Story:
    return Story(
        opening=str(data["opening"]),
        model=str(data["model"]),
        speakers=Speakers(*map(str, data["speakers"])) if data["speakers"] else None,
        steps=tuple(map(_step, data["steps"])),
        undone=tuple(map(_step, data["undone"])),
        draft=_line(data["draft"]),
        before=_story(data["before"]) if data["before"] else None,
    )


def _step(data: Mapping[str, Any]) -> Step:
    replies = tuple(map(_reply, data["replies"]))
    chosen = int(data["chosen"])
    if not 0 <= chosen < len(replies):
        raise ValueError("no such reply")
    return Step(_line(data["player"]), replies, chosen)


def _reply(data: Mapping[str, Any]) -> Reply:
    return Reply(
        text=str(data["text"]),
        model=str(data["model"]),
        adapter=str(data["adapter"]),
        finish=str(data["finish"]),
        seed=_number(data["seed"]),
        tokens=_number(data["tokens"]),
        dropped=int(data["dropped"]),
    )


def _number(value: object) -> int | None:
    return None if value is None else int(str(value))


def _line(data: Mapping[str, Any] | None) -> PlayerLine | None:
    if data is None:
        return None
    if data["mode"] not in get_args(Mode):
        raise ValueError("no such mode")
    return PlayerLine(cast(Mode, data["mode"]), str(data["text"]), str(data["shown"]))
