"""What is wrong with a row, and the words for it."""

from __future__ import annotations

from typing import Any

_KINDS = {
    dict: "an object",
    list: "a list",
    str: "a string",
    bool: "true or false",
    int: "a number",
    float: "a number",
    type(None): "null",
}


class RowFault(ValueError):
    """Why a row cannot be used, in one line: what is wrong, and what would be right."""


def json_kind(value: Any) -> str:
    """`a list`, `null`: what to call a JSON value in a message."""
    return _KINDS[type(value)]
