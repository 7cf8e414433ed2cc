"""Turns -> the prompt that continues the story, fitted to the context.

The opening is pinned: AI Dungeon dropped it after the second turn, and its stories forgot
where they were. What does not fit goes from just after the opening, whole turns at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from lmft.corpus.documents import Message
from lmft.format.contract import FormatContract, Speakers
from lmft.format.fold import fold_quotes
from lmft.format.render import render_conversation
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
    told = [turn for turn in turns if turn.text.strip()]
    if not told:
        raise ValueError("the story is empty: give an opening first")
    last, pieces, cue = told[-1], _pieces(told, contract), _cue(contract, told[-1])
    # Pieces are counted once and dropped by their sum, which is the whole but for a token or
    # so at the seams; the last word has the count of the text that is sent.
    sizes = [count_tokens(piece) for piece in pieces]
    total, kept = sum(sizes) + count_tokens(cue), 1
    while total > room_tokens and kept < len(pieces) - 1:
        total -= sizes[kept]
        kept += 1
    while count_tokens(text := render_story([told[0], *told[kept:]], contract)) > room_tokens:
        if kept >= len(told) - 1:
            raise ValueError(
                f"the opening and the last turn alone are longer than the {room_tokens} tokens "
                "of context that are left for them"
            )
        kept += 1
    shown = _shown(last, contract) if last.by == "player" else ""
    if contract.fold_quotes:
        text, shown = fold_quotes(text), fold_quotes(shown)
    return Prompt(text, shown, continues=last.by == "narrator", dropped_turns=kept - 1)


def render_story(turns: Sequence[Turn], contract: FormatContract) -> str:
    """All turns as one prompt, whatever their length."""
    told = [turn for turn in turns if turn.text.strip()]
    return _joined(_pieces(told, contract), _cue(contract, told[-1])) if told else ""


def _joined(pieces: Sequence[str], cue: str) -> str:
    return "".join(pieces).lstrip("\n") + cue


def _pieces(told: Sequence[Turn], contract: FormatContract) -> list[str]:
    pieces = [_render(turn, contract) for turn in told]
    if contract.kind in ("chat", "instruct"):
        return pieces
    for index in range(1, len(told)):
        before, turn = told[index - 1], told[index]
        if turn.by == before.by == "narrator":
            # One paragraph: "continue" goes on where it stopped.
            pieces[index] = f" {pieces[index]}"
        elif turn.by == "narrator" and before.mode == "story":
            # The line end that was the cue when this was told.
            pieces[index] = f"\n{pieces[index]}"
    return pieces


def _render(turn: Turn, contract: FormatContract) -> str:
    text = turn.text.strip()
    if contract.kind in ("chat", "instruct"):
        message = Message("user" if turn.by == "player" else "assistant", text)
        spans = render_conversation([message], contract.speakers or Speakers())
        return "".join(span.text for span in spans)
    if turn.by == "narrator":
        return text
    line = player_line(turn.mode, text)
    if turn.mode == "story":
        return f"\n{line}"
    return contract.turn_template.replace("{action}", line)


def _shown(last: Turn, contract: FormatContract) -> str:
    if contract.kind in ("chat", "instruct"):
        return last.text.strip()
    return _render(last, contract).strip("\n")


def _cue(contract: FormatContract, last: Turn) -> str:
    """What the prompt ends with so that the right one speaks next."""
    if contract.kind in ("chat", "instruct"):
        return f"{(contract.speakers or Speakers()).assistant}:"
    # A narrator goes on in the same paragraph; after an action the template has ended the line.
    return "\n" if last.by == "player" and last.mode == "story" else ""
