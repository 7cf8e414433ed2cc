"""What the scripted gateway serves and says: its models, and the parts of a script."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

BASE = "embedded"
ADVENTURE = "ft:embedded:me:adventure:3f9a1c2b"
OLDER = "ft:embedded:me:grimm:77aa01bc"
HESPER = "ft:embedded:me:hesper:aa11bb22"
HASHES = {BASE: "base", ADVENTURE: "0c9e6ab1f2d4", OLDER: "55d0c1e2a3b4", HESPER: "9b8a7c6d5e4f"}
OPENING = "You stand before a door of black oak."
REPLY = "The hinges shriek. Cold air comes up the stairs, and with it a smell of rain."


def entry(
    model: str, kind: str, created: int, *, max_tokens: int = 60, **extra: object
) -> dict[str, object]:
    sampler = {"temperature": 0.7, "top_p": 0.95, "repetition_penalty": 1.1}
    sampler |= {"max_tokens": max_tokens}
    about = {"kind": kind, "base": BASE, "adapter": HASHES[model], "state": "live"}
    about |= {"opening": None, "sampler": sampler, "speakers": None} | extra
    return {
        "id": model,
        "object": "model",
        "created": created,
        "owned_by": "me",
        "lmft": about,
    }


MODELS = [
    entry(BASE, "base", 1795000000),
    entry(OLDER, "story", 1795100000),
    entry(ADVENTURE, "adventure", 1795242378, opening=OPENING),
    entry(HESPER, "chat", 1795200000, speakers={"user": "Traveller", "assistant": "Hesper"}),
]


class Gate:
    """A script waits here until the test opens it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._open = asyncio.Event()

    def open(self) -> None:
        """From the test's thread."""
        self._loop.call_soon_threadsafe(self._open.set)

    async def passed(self) -> None:
        await self._open.wait()


@dataclass(frozen=True)
class Fail:
    """An error after the first byte, as the gateway sends it."""

    message: str
    code: str


class Cut(Exception):
    """The connection breaks without a word."""


Part = str | Gate | Fail | Cut


@dataclass
class Script:
    parts: list[Part] = field(default_factory=lambda: [word + " " for word in REPLY.split(" ")])
    finish: str = "stop"
    answered_by: str | None = None
