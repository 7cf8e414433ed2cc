"""The first documents as the model sees them: each token in its shade, learnt or only read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from itertools import groupby
from typing import Any

from ui import text_train as text

Token = Mapping[str, Any]
_GAP = " [...] "
_MOST_DOCUMENTS = 2


def as_seen(shown: Sequence[Mapping[str, Any]]) -> str:
    """Args: shown: `tokens.shown` of the report."""
    if not shown:
        return ""
    hint = text.AS_SEEN_HINT.format(start=text.TEXT_START, end=text.TEXT_END)
    parts = [f'<p class="note">{escape(hint)}</p>']
    for document in shown[:_MOST_DOCUMENTS]:
        n_tokens = int(document.get("n_tokens") or 0)
        source = text.AS_SEEN_SOURCE.format(source=document.get("source"), tokens=n_tokens)
        tokens = document.get("tokens") or ()
        # The element takes the focus so that it can be scrolled with the keys.
        parts.append(
            f"<h3>{escape(source)}</h3>"
            f'<div class="tokens" role="region" tabindex="0" aria-label="{escape(source)}">'
            f"{_runs(tokens, n_tokens)}</div>"
        )
    return "".join(parts)


def _runs(tokens: Iterable[Token], n_tokens: int) -> str:
    every = list(tokens)
    hidden = n_tokens - sum(not _is_gap(token) for token in every)
    made = ""
    for shade, run in groupby(every, _shade):
        if shade == "gap":
            made += f'<span class="gap">{escape(text.NOT_SHOWN.format(count=hidden))}</span>'
        elif shade in ("start", "end"):
            word = text.TEXT_START if shade == "start" else text.TEXT_END
            made += f'<b class="mark">{escape(word)}</b>' * len(list(run))
        else:
            said = "".join(f"<i>{escape(str(token.get('text') or ''))}</i>" for token in run)
            made += f'<span class="{shade}">{said}</span>'
    return made


def _shade(token: Token) -> str:
    if _is_gap(token):
        return "gap"
    if token.get("is_start"):
        return "start"
    if token.get("is_eos"):
        return "end"
    return "learnt" if token.get("trained") else "context"


def _is_gap(token: Token) -> bool:
    return token.get("text") == _GAP and not token.get("trained")
