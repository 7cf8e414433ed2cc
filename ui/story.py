"""A story as the page keeps it: turns, alternatives, undo and redo. Pure values, no Gradio.

A story is an opening and steps. A step is what the player did (or nothing: the story went on by
itself) and every reply that was told to it; Retry adds a reply and hides none for good. Every
change gives a new story, so a failed turn has nothing to take back.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Literal

from ui.models import Model, Speakers

Mode = Literal["do", "say", "story"]
Turns = list[dict[str, str]]


@dataclass(frozen=True)
class PlayerLine:
    """What the player typed; `shown` is the line that the server made of it."""

    mode: Mode
    text: str
    shown: str = ""


@dataclass(frozen=True)
class Reply:
    """One telling, with the server's word on which weights told it."""

    text: str
    model: str
    adapter: str
    finish: str
    seed: int | None = None
    tokens: int | None = None
    dropped: int = 0


@dataclass(frozen=True)
class Step:
    player: PlayerLine | None
    replies: tuple[Reply, ...]
    chosen: int = 0

    @property
    def reply(self) -> Reply:
        return self.replies[self.chosen]


@dataclass(frozen=True)
class Story:
    """
    Attributes:
        model: the narrator that the player chose last, to choose it again after a reload.
        speakers: the names in a chat; None for a story.
        undone: steps that Redo brings back, the next one last.
        draft: what was sent and not answered yet; a reload puts it back into the box.
        before: the story that this one replaced, so that a wrong click loses nothing.
    """

    opening: str = ""
    model: str = ""
    speakers: Speakers | None = None
    steps: tuple[Step, ...] = ()
    undone: tuple[Step, ...] = ()
    draft: PlayerLine | None = None
    before: Story | None = None

    @property
    def is_fresh(self) -> bool:
        """Nobody has played it yet."""
        return not self.steps and not self.undone

    @property
    def can_undo(self) -> bool:
        # Not with steps still undone: one click too many must not drop them.
        return bool(self.steps) or (self.before is not None and self.is_fresh)

    @property
    def last_reply(self) -> Reply | None:
        return self.steps[-1].reply if self.steps else None

    def turns(self, asking: PlayerLine | None = None) -> Turns:
        """What the server is to continue: the story, and the player's new line."""
        turns = [_narrator(self.opening)] if self.opening.strip() else []
        for step in self.steps:
            if step.player:
                turns.append(_player(step.player))
            turns.append(_narrator(step.reply.text))
        return [*turns, _player(asking)] if asking else turns

    def without_last_reply(self) -> tuple[Story, PlayerLine | None]:
        """The story as it was when the last reply was asked for, and what was asked."""
        return replace(self, steps=self.steps[:-1]), self.steps[-1].player

    def asked(self, line: PlayerLine | None) -> Story:
        return replace(self, draft=line)

    def told(self, line: PlayerLine | None, reply: Reply) -> Story:
        """A new step. What was undone is another future now and goes."""
        return replace(self, steps=(*self.steps, Step(line, (reply,))), undone=(), draft=None)

    def retold(self, reply: Reply) -> Story:
        """Another reply to the last step, chosen; the earlier ones stay."""
        last = self.steps[-1]
        step = replace(last, replies=(*last.replies, reply), chosen=len(last.replies))
        return replace(self, steps=(*self.steps[:-1], step), draft=None)

    def choose(self, by: int) -> Story:
        """The reply `by` places away, as far as there are any."""
        if not self.steps:
            return self
        last = self.steps[-1]
        chosen = min(max(last.chosen + by, 0), len(last.replies) - 1)
        return replace(self, steps=(*self.steps[:-1], replace(last, chosen=chosen)))

    def undo(self) -> Story:
        if self.steps:
            return replace(self, steps=self.steps[:-1], undone=(*self.undone, self.steps[-1]))
        return self.before if self.before and self.can_undo else self

    def redo(self) -> Story:
        if not self.undone:
            return self
        return replace(self, steps=(*self.steps, self.undone[-1]), undone=self.undone[:-1])

    def anew(self, opening: str) -> Story:
        """A fresh story with the same narrator. Only one old story is kept, or they pile up."""
        kept = self.before if self.is_fresh else replace(self, before=None, draft=None)
        return Story(opening.strip(), self.model, self.speakers, before=kept)

    def narrated_by(self, model: Model, openings: Collection[str]) -> Story:
        """With another narrator; while the opening is still one of the stock `openings` and
        nobody has played on from it, the new narrator's own replaces it."""
        stock = self.is_fresh and self.opening in openings
        opening = model.first_opening if stock else self.opening
        return replace(self, model=model.id, speakers=model.speakers, opening=opening)


def _narrator(text: str) -> dict[str, str]:
    return {"by": "narrator", "text": text}


def _player(line: PlayerLine) -> dict[str, str]:
    return {"by": "player", "mode": line.mode, "text": line.text}
