"""The exact tokens of the first documents on the page."""

from __future__ import annotations

import html
import itertools
from collections.abc import Iterator, Sequence

from lmft.dataset.preflight import GAP, ShownDocument, ShownToken
from lmft.report.page import safe
from lmft.report.plain import counted, visible

_EOS = '<b class="eos">EOS</b>'
_START = '<b class="eos">START</b>'
_LINE_END = '<b class="mark">↵</b>\n'


def shown_tokens(documents: Sequence[ShownDocument]) -> str:
    """Each token in its shade: learnt or context, ends of lines and of the text."""
    if not documents:
        return ""
    tokens = [token for shown in documents for token in shown.tokens]
    start = next((token.text for token in tokens if token.is_start), None)
    eos = next((token.text for token in tokens if token.is_eos), None)
    legend = (
        "<p>The exact tokens of the first documents, one shade each: "
        f"{_run([ShownToken('learnt', True)])} underlined, "
        f"{_run([ShownToken('context', False)])} slanted and pale (read, not learnt), "
        '<b class="mark">↵</b> end of a line'
        + (f", {_START} start of a text, the token {safe(start)}" if start is not None else "")
        + (f", {_EOS} end of text, the token {safe(eos)}" if eos is not None else "")
        + ("; � a piece of a character" if _has_pieces(documents) else "")
        + ".</p>"
    )
    return legend + "".join(
        f"<h3>{safe(shown.source)}, {counted(shown.n_tokens, 'token')}</h3>"
        f'<div class="tokens" dir="auto">{_tokens(shown)}</div>'
        for shown in documents
    )


def _has_pieces(documents: Sequence[ShownDocument]) -> bool:
    return any("\ufffd" in token.text for shown in documents for token in shown.tokens)


def _tokens(shown: ShownDocument) -> str:
    return "".join(_runs(shown))


def _runs(shown: ShownDocument) -> Iterator[str]:
    def kind(token: ShownToken) -> tuple[bool, bool]:
        return token is GAP, token.trained

    n_hidden = shown.n_tokens - sum(token is not GAP for token in shown.tokens)
    for (is_gap, _), run in itertools.groupby(shown.tokens, kind):
        if is_gap:
            yield f'\n<span class="gap">{counted(n_hidden, "token")} not shown here</span>\n'
        else:
            yield _run(list(run))


def _run(tokens: Sequence[ShownToken]) -> str:
    """Neighbours that are all learnt or all context; the style tells them apart by shade."""
    style = "learnt" if tokens[0].trained else "context"
    return f'<span class="{style}">{"".join(map(_token, tokens))}</span>'


def _token(token: ShownToken) -> str:
    if token.is_eos or token.is_start:
        return f"<i>{_EOS if token.is_eos else _START}</i>"
    lines = (html.escape(visible(line)) for line in token.text.split("\n"))
    return f"<i>{_LINE_END.join(lines)}</i>"
