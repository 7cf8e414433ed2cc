"""Small pieces of the Train page: sizes and times in words, lists, what unfolds. All escaped."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from ui import text_train as text

_MOST_LINES = 200


def size(n_bytes: float) -> str:
    if n_bytes >= 1e9:
        return text.GB.format(n=n_bytes / 1e9)
    return text.MB.format(n=n_bytes / 1e6) if n_bytes >= 1e6 else text.KB.format(n=n_bytes / 1e3)


def duration(seconds: float) -> str:
    for words, length in ((text.HOURS, 3600), (text.MINUTES, 60)):
        if seconds >= 2 * length:
            return words.format(n=seconds / length)
    return text.SECONDS.format(n=max(1, seconds))


def files(count: int) -> str:
    return text.ONE_FILE if count == 1 else text.MANY_FILES.format(count=count)


def documents(count: int) -> str:
    return text.COUNTED_DOCUMENTS[count != 1].format(count=count)


def lines(said: Iterable[str], *, mono: bool = False) -> str:
    """A list; a very long one ends in the number of those that are not shown."""
    every = list(said)
    style = ' class="mono"' if mono else ""
    items = [f"<li{style}>{escape(one)}</li>" for one in every[:_MOST_LINES]]
    if rest := len(every) - _MOST_LINES:
        items += [f"<li>+ {rest:,}</li>"] if rest > 0 else []
    return f"<ul>{''.join(items)}</ul>" if items else ""


def facts(pairs: Iterable[tuple[str, str, str]]) -> str:
    """Name, value and a note, each as text."""
    cells = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}"
        + (f"<small>{escape(note)}</small>" if note else "")
        + "</dd></div>"
        for name, value, note in pairs
        if value
    )
    return f'<dl class="facts">{cells}</dl>'


def folded(title: str, inside: str, *, open: bool = False, testid: str = "") -> str:
    """Args: inside: HTML."""
    if not inside:
        return ""
    mark = f' data-testid="{testid}"' if testid else ""
    head = f"<details{' open' if open else ''}{mark}><summary>{escape(title)}</summary>"
    return f"{head}{inside}</details>"
