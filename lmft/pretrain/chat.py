"""Turns between control tokens, which a new vocabulary reserves and its base is trained on."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from lmft.corpus.documents import Message
from lmft.pretrain.dialogue import Exchange

END = "<|end|>"
# Of a turn's beginning, by its role.
BEGINS = {role: f"<|{role}|>" for role in ("system", "user", "assistant")}
TOKENS = (*BEGINS.values(), END)
TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
# (role, words) each; every role is one of BEGINS.
Turns = tuple[tuple[str, str], ...]


def from_messages(messages: Iterable[Message]) -> Turns:
    """A compiled conversation; what tools answered is left out."""
    return tuple((turn.role, turn.content) for turn in messages if turn.role in BEGINS)


def from_exchange(exchange: Exchange) -> Turns | None:
    """Who speaks first is the user, the other the assistant, and a system message says who they
    are. None where more than two speak."""
    said = [
        (name, " ".join(words for _, words in lines))
        for name, lines in groupby(exchange, key=lambda line: line[0])
    ]
    if len({name for name, _ in said}) != 2:
        return None
    said = said[: len(said) // 2 * 2]
    (user, _), (assistant, _) = said[:2]
    about = f"You are {assistant}. You speak with {user}."
    roles = ("user" if name == user else "assistant" for name, _ in said)
    return (("system", about), *zip(roles, (words for _, words in said), strict=True))
