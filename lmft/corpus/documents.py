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

    A part of a longer text has `begins` or `ends` (or both) False; the trainer writes
    end-of-text only after one that ends.
    """

    source: str
    text: str = ""
    messages: tuple[Message, ...] = ()
    begins: bool = True
    ends: bool = True

    @property
    def n_bytes(self) -> int:
        if self.messages:
            return sum(len(message.content.encode()) for message in self.messages)
        return len(self.text.encode())
