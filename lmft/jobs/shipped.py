"""The shipped recipes as a page shows them: a title, the comments, the values."""

from __future__ import annotations

from itertools import takewhile
from typing import Any

from lmft import paths
from lmft.jobs.presets import preset_names, shipped

_OF_THIS_MACHINE = ("data", "name", "base", "continue_from", "track")


def recipe_object(name: str) -> dict[str, Any]:
    """One of preset_names(). Its data lies on this machine and is nobody's who asks."""
    text = (paths.recipes_dir() / f"{name}.yaml").read_text(encoding="utf-8")
    head = takewhile(lambda line: line.startswith("#"), text.splitlines())
    lines = [line.removeprefix("#").strip() for line in head]
    tree = {key: value for key, value in shipped(name).items() if key not in _OF_THIS_MACHINE}
    return {
        "id": name,
        "title": lines[0] if lines else name,
        "description": " ".join(takewhile(bool, lines)),
        "base": shipped(name)["base"],
        "kind": tree["format"]["kind"],
        "method": tree.get("method", "sft"),
        "text": text,
        "recipe": tree,
    }


def recipes_object(bases: list[str]) -> dict[str, Any]:
    """All of them. Args: bases: what can be trained over."""
    found = [recipe_object(name) for name in preset_names()]
    return {"object": "list", "data": found, "bases": bases}
