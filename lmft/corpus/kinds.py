"""What kind of corpus the documents make together, and a document turned into that kind."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from lmft.corpus.documents import Document, Kind, Message

TEXT: tuple[Kind, ...] = ("story", "adventure")
TALK: tuple[Kind, ...] = ("chat", "instruct")


def resolve_kind(files_of: Mapping[Kind, Sequence[str]]) -> tuple[Kind | None, str]:
    """The one kind that all documents can be trained as, or None and who differs.

    Args:
        files_of: for each kind that was found, the names of files that have it.
    """
    found = set(files_of)
    if len(found) == 1:
        return found.pop(), ""
    if found == set(TEXT):
        return "adventure", ""
    if found == set(TALK):
        return "chat", ""
    mixed = "; ".join(
        f"{kind}: {', '.join(names[:3])}{', ...' if len(names) > 3 else ''}"
        for kind, names in sorted(files_of.items())
    )
    return None, mixed


def as_kind(document: Document, kind: Kind) -> Document | None:
    """The document as one of `kind`; None where that cannot be: prose has no turns."""
    if document.kind == kind:
        return document
    if document.kind == "preference":
        if kind not in TALK:
            return None
        kept = document.messages + document.chosen
        return dataclasses.replace(document, kind=kind, messages=kept, chosen=(), rejected=())
    if document.kind in TEXT and kind in TEXT:
        return dataclasses.replace(document, kind=kind)
    if document.kind in TALK and kind in TALK:
        return dataclasses.replace(document, kind=kind)
    if document.kind in TALK and kind in TEXT:
        text = "\n\n".join(_as_prose(message) for message in document.messages)
        end = "" if document.ends else "\n\n"
        return dataclasses.replace(
            document, kind=kind, text=text + end, messages=(), uncast=False, tools=""
        )
    return None


def _as_prose(message: Message) -> str:
    said = "\n".join(
        [message.content, *(f"{call.name} {call.arguments}" for call in message.tool_calls)]
    ).strip()
    if message.role == "system":
        return said
    return f"{message.name or message.role.capitalize()}: {said}"
