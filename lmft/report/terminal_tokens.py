"""The exact tokens of the first documents on the terminal, in colour or without."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from rich.console import Console
from rich.text import Text

from lmft.dataset.preflight import GAP, Preflight, ShownDocument, ShownToken
from lmft.report.plain import counted, discreet, visible

# Neighbouring tokens differ by shade. Both colours are set, so that it reads on any background.
_LEARNT = ("#ffffff on #0f5f58", "#ffffff on #17837a")
_CONTEXT = ("dim", "dim italic")


def print_tokens(preflight: Preflight, console: Console) -> None:
    """The first documents as the model gets them: each token, what is learnt, end-of-text.

    Without colours tokens are parted by `|`, and context stands in `‹ ›`.
    """
    if not preflight.shown:
        return
    coloured = console.color_system is not None and not console.no_color
    console.print(_legend(preflight, coloured))
    for shown in preflight.shown:
        title = discreet(f"{shown.source}, {counted(shown.n_tokens, 'token')}")
        console.print()
        console.print(Text(title, style="bold"))
        console.print(_coloured(shown) if coloured else Text(_plain(shown)))


def _legend(preflight: Preflight, coloured: bool) -> Text:
    learnt, context = ShownToken("learnt", True), ShownToken("context", False)
    legend = ShownDocument("", 2, (learnt, context))
    shown = _coloured(legend) if coloured else Text(_plain(legend))
    text = Text("The exact tokens: ").append_text(shown)
    text.append(", ↵ end of a line, <START> and <EOS> of a text")
    pieces = (token.text for document in preflight.shown for token in document.tokens)
    return text.append(
        ", \ufffd a piece of a character" if any("\ufffd" in p for p in pieces) else ""
    )


def _coloured(shown: ShownDocument) -> Text:
    text = Text()
    for index, token in enumerate(shown.tokens):
        if token is GAP:
            text.append(f"\n{_hidden(shown)}\n", style="dim")
        else:
            styles = _LEARNT if token.trained else _CONTEXT
            is_mark = token.is_eos or token.is_start
            text.append(_piece(token), style="reverse bold" if is_mark else styles[index % 2])
    return text


def _plain(shown: ShownDocument) -> str:
    return "".join(_plain_runs(shown))


def _plain_runs(shown: ShownDocument) -> Iterator[str]:
    def kind(token: ShownToken) -> tuple[bool, bool]:
        return token is GAP, token.trained

    for (is_gap, is_learnt), run in itertools.groupby(shown.tokens, kind):
        tokens = "|".join(map(_piece, run))
        if is_gap:
            yield f"\n{_hidden(shown)}\n"
        else:
            yield f"|{tokens}|" if is_learnt else f"‹{tokens}›"


def _hidden(shown: ShownDocument) -> str:
    n_shown = sum(token is not GAP for token in shown.tokens)
    return f"({counted(shown.n_tokens - n_shown, 'token')} not shown here)"


def _piece(token: ShownToken) -> str:
    if token.is_eos or token.is_start:
        return "<EOS>" if token.is_eos else "<START>"
    return "↵\n".join(map(visible, token.text.split("\n")))
