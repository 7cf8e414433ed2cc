"""What flows from the readers to the trainer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True)
class Message:
    role: Role
    content: str


@dataclass(frozen=True)
class Document:
    """One story, or one conversation when `messages` is set (then `text` is empty).

    `ends` is False for a part of a longer text: the trainer writes no end-of-text after it.
    """

    source: str
    text: str = ""
    messages: tuple[Message, ...] = ()
    ends: bool = True

    @property
    def n_bytes(self) -> int:
        if self.messages:
            return sum(len(message.content.encode()) for message in self.messages)
        return len(self.text.encode())
