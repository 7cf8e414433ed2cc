"""Turns -> the prompt that continues the story, fitted to the context.

The opening is pinned: AI Dungeon dropped it after the second turn, and its stories forgot
where they were. What does not fit goes from just after the opening, whole turns at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from lmft.format.contract import FormatContract, Speakers
from lmft.format.fold import fold_quotes
from lmft.play.actions import Mode, player_line


@dataclass(frozen=True)
class Turn:
    """One piece of the story. `mode` only matters for the player's."""

    by: Literal["narrator", "player"]
    text: str
    mode: Mode = "do"


@dataclass(frozen=True)
class Prompt:
    text: str
    player_line: str
    """The player's last line as the model sees it; empty when the narrator simply goes on."""
    continues: bool
    """True when the story ends with the narrator: the reply must go on, not hand over."""
    dropped_turns: int


def build_prompt(
    turns: Sequence[Turn],
    contract: FormatContract,
    count_tokens: Callable[[str], int],
    room_tokens: int,
) -> Prompt:
    """Render `turns` by the contract into at most `room_tokens`.

    Raises:
        ValueError: nothing to continue, or opening and last turn alone do not fit.
    """
    pieces = [piece for turn in turns if (piece := _render(turn, contract))]
    if not pieces:
        raise ValueError("the story is empty: give an opening first")
    last = next(turn for turn in reversed(turns) if turn.text.strip())
    cue = _cue(contract, last)
    dropped = 0
    while count_tokens(text := "".join(pieces).lstrip("\n") + cue) > room_tokens:
        if len(pieces) <= 2:
            raise ValueError(
                f"the opening and the last turn alone are longer than the {room_tokens} tokens "
                "of context that are left for them"
            )
        del pieces[1]
        dropped += 1
    if contract.fold_quotes:
        text = fold_quotes(text)
    shown = _shown(last, contract) if last.by == "player" else ""
    return Prompt(text, shown, continues=last.by == "narrator", dropped_turns=dropped)


def _render(turn: Turn, contract: FormatContract) -> str:
    text = turn.text.strip()
    if not text:
        return ""
    if contract.kind in ("chat", "instruct"):
        speakers = contract.speakers or Speakers()
        name = speakers.user if turn.by == "player" else speakers.assistant
        return f"{name}: {text}\n"
    if turn.by == "narrator":
        return text
    line = player_line(turn.mode, text)
    if turn.mode == "story":
        return f"\n{line}"
    return contract.turn_template.format(action=line)


def _shown(last: Turn, contract: FormatContract) -> str:
    if contract.kind in ("chat", "instruct"):
        return last.text.strip()
    return _render(last, contract).strip("\n")


def _cue(contract: FormatContract, last: Turn) -> str:
    """What the prompt ends with so that the right one speaks next."""
    if contract.kind in ("chat", "instruct"):
        return f"{(contract.speakers or Speakers()).assistant}:"
    # The narrator goes on in a new paragraph; after an action the template already ends the line.
    return "\n" if last.by == "narrator" or last.mode == "story" else ""
