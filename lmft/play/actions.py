"""What a player typed, as a line of the story.

`I attack the orc with my sword` becomes `You attack the orc with your sword.`: the corpus is
in the second person, so the player's own lines must be, or the narrator drifts.
"""

from __future__ import annotations

import re
from typing import Literal

from lmft.format.fold import fold_quotes

Mode = Literal["do", "say", "story"]

# Longest first, so that "i am" is not read as "i" and then "am".
_FIRST_TO_SECOND = {
    "we are": "you are",
    "i am": "you are",
    "i'm": "you are",
    "i was": "you were",
    "i've": "you have",
    "i'll": "you will",
    "i'd": "you would",
    "myself": "yourself",
    "mine": "yours",
    "my": "your",
    "me": "you",
    "we": "you",
    "our": "your",
    "us": "you",
    "i": "you",
}
# Before a word `mine` is a verb: `mine the ore`.
_WORDS = re.compile(
    rf"(?<![\w'])(?!mine\s\w)({'|'.join(map(re.escape, _FIRST_TO_SECOND))})(?![\w'])",
    re.IGNORECASE,
)
_BEGINS_WITH_YOU = re.compile(r"you\b", re.IGNORECASE)
_QUOTED = re.compile(r'("[^"]*"?)')


def player_line(mode: Mode, text: str) -> str:
    """The player's input as the story shows it; empty input stays empty.

    `do` and `say` give one sentence that begins with "You"; `story` is taken as it is.
    """
    text = text.strip()
    if not text or mode == "story":
        return text
    # A phone types `I’m`.
    text = fold_quotes(" ".join(text.split()))
    if mode == "say":
        words = text.strip('"').strip()
        return f'You say "{_finish(words[:1].upper() + words[1:])}"'
    if text.startswith('"'):
        return player_line("say", text)
    text = _to_second_person(text.removeprefix(">").strip())
    if _BEGINS_WITH_YOU.match(text):
        text = f"You{text[3:]}"
    else:
        first, _, rest = text.partition(" ")
        # A proper name at the start keeps its capital only if more capitals follow inside it.
        start = first if first[1:] != first[1:].lower() else first.lower()
        text = f"You {start} {rest}".strip()
    return _finish(text)


def _to_second_person(text: str) -> str:
    """First to second person outside double quotes; speech keeps its own person."""
    pieces = _QUOTED.split(text)
    return "".join(
        piece
        if piece.startswith('"')
        else _WORDS.sub(lambda match: _FIRST_TO_SECOND[match[0].lower()], piece)
        for piece in pieces
    )


def _finish(text: str) -> str:
    return text if text.endswith((".", "!", "?", '"', "…")) else f"{text}."
