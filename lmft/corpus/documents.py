"""What flows from the readers to the trainer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

Role = Literal["system", "user", "assistant", "tool"]
Kind = Literal["story", "adventure", "chat", "instruct", "preference"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class ToolCall:
    """A function that the assistant called; `arguments` is JSON text, as OpenAI's API has it."""

    name: str
    arguments: str


@dataclass(frozen=True)
class Message:
    """One turn.

    Attributes:
        name: the speaker, where the source names one; None for OpenAI's plain roles and for
            narration (role `system`).
        trained: False for an assistant's turn that is context only (OpenAI's `weight: 0`).
    """

    role: Role
    content: str
    name: str | None = None
    trained: bool = True
    tool_calls: tuple[ToolCall, ...] = ()


@dataclass(frozen=True)
class Document:
    """One part of a story, one conversation, or one preference.

    A story (`kind` story or adventure) has `text`; a conversation (chat, instruct) has
    `messages`; a preference has `messages` (the prompt) and `chosen` and `rejected`.

    Attributes:
        source: the file's shown name, with `:LINE` where the document begins if it is not the
            whole file.
        begins, ends: False for a part of a longer story that does not begin or end there. The
            trainer writes end-of-text only after a part that ends. Parts of one story follow
            each other in order; `text` of all of them joined is the story.
        scene: number of the scene or chapter within the story, from 0; parts of one scene share it.
        story, part: number of the story within the corpus, and of this part within the story;
            the compiler sets both. Where parts were left out their numbers are missing.
        uncast: True for a log or script whose messages have names but no roles yet: the
            reader gives every speaker the role `user`, and lmft.corpus.cast decides later
            which of them the model plays.
        tools: the tools that the assistant could call, as JSON text; empty for none.
        retold: (start, end) of characters of `text` that an earlier document tells too, rising:
            context only, so that nothing of a branching story is learnt twice.
    """

    source: str
    kind: Kind = "story"
    text: str = ""
    messages: tuple[Message, ...] = ()
    chosen: tuple[Message, ...] = ()
    rejected: tuple[Message, ...] = ()
    begins: bool = True
    ends: bool = True
    scene: int = 0
    story: int = 0
    part: int = 0
    uncast: bool = False
    tools: str = ""
    retold: tuple[tuple[int, int], ...] = ()

    @property
    def words(self) -> str:
        """All that is said in it."""
        return self.text or _said(self.messages + self.chosen + self.rejected)

    @property
    def asked(self) -> str:
        """What leads to the words that are learnt, without system messages, which many share."""
        if self.retold:
            return "".join(self.text[start:end] for start, end in self.retold)
        if self.text or self.uncast:
            return ""
        others = (turn for turn in self.messages if turn.role != "system")
        if self.kind == "preference":
            return _said(others)
        return _said(turn for turn in others if turn.role != "assistant")

    @property
    def learnt(self) -> str:
        """The words that are learnt; of a script without roles, all that is spoken."""
        if self.text:
            return "".join(text for text, is_new in self.stretches() if is_new)
        if self.kind == "preference":
            return _said(self.chosen + self.rejected)
        if self.uncast:
            return _said(turn for turn in self.messages if turn.name is not None)
        return _said(turn for turn in self.messages if turn.role == "assistant")

    def stretches(self) -> list[tuple[str, bool]]:
        """`text` in pieces, each with whether it is new, and so learnt."""
        pieces, place = [], 0
        for start, end in self.retold:
            pieces += [(self.text[place:start], True), (self.text[start:end], False)]
            place = end
        return [piece for piece in (*pieces, (self.text[place:], True)) if piece[0]]

    @property
    def n_bytes(self) -> int:
        """Bytes of UTF-8 of everything that a person wrote in it."""
        turns = self.messages + self.chosen + self.rejected
        return len(self.text.encode()) + len(_said(turns).encode())


def _said(turns: Iterable[Message]) -> str:
    return "\n".join(
        "\n".join([turn.content, *(f"{call.name} {call.arguments}" for call in turn.tool_calls)])
        for turn in turns
    )
