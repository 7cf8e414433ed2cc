"""The model's raw text to what a person reads."""

from __future__ import annotations

import re
from typing import NamedTuple

from lmft.format.contract import FormatContract

# A sentence ends at . ! ? or an ellipsis, with any closing quotes or brackets.
_SENTENCE_END = re.compile(r"[.!?\u2026][\"'\u201d\u2019)\]]*(?=\s|$)")


class Trimmed(NamedTuple):
    text: str
    stopped: bool
    """True when a stop string was met: the reply is complete."""


def trim_reply(raw: str, contract: FormatContract, *, ran_out: bool) -> Trimmed:
    """Cut at the first stop string; if the reply ran out of tokens, drop the unfinished sentence.

    Text without any sentence end is kept whole: half a sentence is better than nothing.
    """
    text, stopped = cut_at_stop(raw, contract.stop)
    if ran_out and not stopped and contract.trim_to_sentence:
        ends = [match.end() for match in _SENTENCE_END.finditer(text)]
        if ends:
            text = text[: ends[-1]]
    return Trimmed(text.strip(), stopped)


def cut_at_stop(text: str, stops: tuple[str, ...]) -> Trimmed:
    """Everything before the first stop string, whichever comes first."""
    cuts = [position for stop in stops if (position := text.find(stop)) >= 0]
    return Trimmed(text[: min(cuts)], True) if cuts else Trimmed(text, False)
