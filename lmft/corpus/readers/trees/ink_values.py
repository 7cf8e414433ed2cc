"""What Ink computes, as far as it is known without playing; None stands for what is not."""

from __future__ import annotations

import contextlib
import operator
from collections.abc import Callable
from typing import Any

_MAX_NUMBER = 1e12
_MAX_CHARACTERS = 10_000

# How many values an operator takes, and how it is computed; None where only a game knows. What
# was visited, and when, is known: the story is told as on a first visit.
_OPERATORS: dict[str, tuple[int, Callable[..., Any] | None]] = {
    "+": (2, operator.add),
    "-": (2, operator.sub),
    "*": (2, lambda a, b: _number(a) * _number(b)),
    "/": (2, lambda a, b: a / b if isinstance(a, float) or isinstance(b, float) else int(a / b)),
    "%": (2, lambda a, b: _number(a) % b),
    "_": (1, operator.neg),
    "==": (2, operator.eq),
    "!=": (2, operator.ne),
    ">": (2, operator.gt),
    "<": (2, operator.lt),
    ">=": (2, operator.ge),
    "<=": (2, operator.le),
    "!": (1, operator.not_),
    "&&": (2, lambda a, b: bool(a and b)),
    "||": (2, lambda a, b: bool(a or b)),
    "MIN": (2, min),
    "MAX": (2, max),
    "INT": (1, int),
    "FLOAT": (1, float),
    "visit": (0, lambda: 0),
    "turn": (0, lambda: 0),
    "turns": (1, lambda place: -1),
    "readc": (1, lambda place: 0),
    "seq": (2, lambda size, count: 0),
    **dict.fromkeys(("POW", "?", "!?", "L^", "rnd", "listInt"), (2, None)),
    **dict.fromkeys(("FLOOR", "CEILING", "srnd", "lrnd"), (1, None)),
    **dict.fromkeys(("LIST_MIN", "LIST_MAX", "LIST_ALL"), (1, None)),
    **dict.fromkeys(("LIST_COUNT", "LIST_VALUE", "LIST_INVERT"), (1, None)),
    "range": (3, None),
}


def compute(name: str, stack: list[Any]) -> bool:
    """Replace an operator's values on the stack by its result; False for no such operator."""
    if name == "pop":
        pop(stack)
    elif name == "du":
        stack.append(stack[-1] if stack else None)
    elif name == "void":
        stack.append("")
    elif name in _OPERATORS:
        _operate(*_OPERATORS[name], name, stack)
    else:
        return False
    return True


def _operate(count: int, function: Callable[..., Any] | None, name: str, stack: list[Any]) -> None:
    values = [pop(stack) for _ in range(count)][::-1]
    stack.append(None)
    # What was never seen needs no known values.
    known = name in ("turns", "readc", "seq") or None not in values
    if function is not None and known:
        with contextlib.suppress(TypeError, ValueError, ArithmeticError):
            stack[-1] = _bounded(function(*values))


def pop(stack: list[Any]) -> Any:
    """The last value; unknown where a story takes more than it gave."""
    return stack.pop() if stack else None


def shown(value: Any) -> str | None:
    """A value in the text; None for one that is not known."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:g}"
    return str(value) if isinstance(value, int | str) else None


def _number(value: Any) -> int | float:
    # Python would repeat a text, and format one.
    if not isinstance(value, int | float):
        raise TypeError
    return value


def _bounded(value: Any) -> Any:
    if isinstance(value, int | float) and not abs(value) <= _MAX_NUMBER:
        return None
    return None if isinstance(value, str) and len(value) > _MAX_CHARACTERS else value
