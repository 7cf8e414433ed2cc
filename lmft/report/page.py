"""What the HTML page is made of: safe text, lists, tables and bars, and the frame around them."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

from lmft.report.plain import discreet
from lmft.report.style import STYLE

MAX_ROWS = 100
"""Of any list or table; the rest is counted."""


def safe(text: str) -> str:
    """A person's text as HTML, in a box of its own: its direction does not leak out of it.

    Secrets and personal data in it are masked.
    """
    return f"<bdi>{html.escape(discreet(text))}</bdi>"


def together(text: str) -> str:
    """A number stays with its unit when a narrow screen breaks the line; commas may end one."""
    return text.replace(" ", "\u00a0").replace(",\u00a0", ", ")


def listing(items: Sequence[str], total: int | None = None) -> str:
    """The first of what a person wrote; the rest of `total` is counted."""
    shown = [f"<li>{safe(item)}" for item in items[:MAX_ROWS]]
    return f"<ul>{''.join(shown)}</ul>" + rest(len(shown), total or len(items)) if items else ""


def rest(n_shown: int, total: int) -> str:
    """How many more there are, if any."""
    return f'<p class="faint">and {total - n_shown:,} more.</p>' if total > n_shown else ""


def table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[str]], numeric: str) -> str:
    """`rows` of HTML, the first cell the row's head. `numeric`: a letter a column, n to the right.

    The box scrolls by itself where it is too long or too wide, with the keyboard too. On a
    narrow screen a row is a block, each cell on a line of its own with its head before it.
    """
    width = sum(5 if letter == "n" else 8 for letter in numeric)
    classes = [' class="n"' if letter == "n" else "" for letter in numeric]
    head = "".join(f'<th scope="col"{c}>{h}' for h, c in zip(heads, classes, strict=True))
    named = [f'{c} data-head="{html.escape(h)}"' for h, c in zip(heads, classes, strict=True)]
    body = "".join(
        f'<tr><th scope="row"{classes[0]}>{row[0]}'
        + "".join(f"<td{n}>{cell}" for cell, n in zip(row[1:], named[1:], strict=True))
        for row in rows
    )
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{html.escape(caption)}">'
        f'<table style="--least:{width}rem">'
        f"<caption>{html.escape(caption)}</caption><thead><tr>{head}</thead>"
        f"<tbody>{body}</tbody></table></div>"
    )


def bars(caption: str, rows: Sequence[tuple[str, float, str]]) -> str:
    """(label as HTML, length, the number as text) of each bar, the longest over the full width."""
    longest = max((length for _, length, _ in rows), default=0) or 1
    body = "".join(
        f'<tr><th scope="row">{label}<td class="bar">'
        + (f'<span style="width:{100 * length / longest:.1f}%"></span>' if length else "")
        + f'<td class="n">{together(number)}'
        for label, length, number in rows
    )
    head = f"<caption>{html.escape(caption)}</caption>"
    return f'<table class="bars">{head}<tbody>{body}</tbody></table>'


def document(title: str, body: str, more_style: str = "") -> str:
    """A whole page that loads nothing, runs nothing and needs nothing."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{html.escape(discreet(title))}</title>\n<style>{STYLE}{more_style}</style>\n</head>\n"
        f"<body>\n<main>\n{body}</main>\n</body>\n</html>\n"
    )
