"""Who plays: the model one speaker of a script or log, the person the others."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from lmft.corpus.documents import Document, Message
from lmft.errors import CorpusError
from lmft.format.contract import Speakers

MAX_NAME_CHARACTERS = 40
MAX_OTHERS = 14
_NAMES_LISTED = 8
_NAMELESS = "Unnamed"
# What joins letters in Persian, in Indic scripts and in emoji is part of the name.
_JOINERS = "\u200c\u200d"


class SpeakerCount(NamedTuple):
    """What one speaker said in the whole corpus; `n_bytes` of UTF-8."""

    turns: int
    n_bytes: int


@dataclass(frozen=True)
class Cast:
    """Attributes:
    model: the speaker whose words are learnt.
    you: the speaker that a person plays by default.
    others: everyone else, the most talkative first, at most MAX_OTHERS.
    reason: one sentence for the report.
    """

    model: str
    you: str
    others: tuple[str, ...]
    reason: str


def speaker_name(raw: str) -> str:
    """`raw` as it can stand before a colon: one line of at most MAX_NAME_CHARACTERS, no colon.

    A name of which nothing is left becomes `Unnamed`.
    """
    kept = "".join(_harmless(character) for character in raw)
    return " ".join(kept.split())[:MAX_NAME_CHARACTERS].rstrip() or _NAMELESS


def _harmless(character: str) -> str:
    if character in ":\uff1a":
        return ""
    category = unicodedata.category(character)
    if category == "Cc":
        return " "
    # Cf turns the writing direction, Cs cannot be written as UTF-8.
    return "" if category in ("Cf", "Cs") and character not in _JOINERS else character


def choose_cast(
    counts: Mapping[str, SpeakerCount],
    *,
    model_plays: str | None = None,
    you_play: str | None = None,
) -> Cast:
    """The model plays who says most and the person who says most of the rest, or as asked.

    A name that is asked for may be in any case, or be the beginning of one name only.

    Raises:
        CorpusError: nobody speaks, no speaker or several have the name, or both play the same.
    """
    if not counts:
        raise CorpusError("Nobody speaks in this corpus.", "Give a script or a chat log.")
    ranked = sorted(counts, key=lambda name: (-counts[name].n_bytes, name))
    model = None if model_plays is None else _find(model_plays, ranked, counts)
    you = None if you_play is None else _find(you_play, ranked, counts)
    if model is not None and model == you:
        raise CorpusError(
            f"The model and you cannot both play {model}.", f"Choose from {_listed(counts)}."
        )
    model = model or next((name for name in ranked if name != you), None)
    if model is None:
        raise CorpusError(
            f"Only {you} speaks, and you play {you}.", "Let the model play, or give more text."
        )
    rest = [name for name in ranked if name != model]
    you = you or next(iter(rest), None)
    by_turns = sorted(rest, key=lambda name: (-counts[name].turns, name))
    return Cast(
        model=model,
        # Nobody else speaks: the contract's own name for the person.
        you=you or Speakers().user,
        others=tuple(name for name in by_turns if name != you)[:MAX_OTHERS],
        reason=_reason(model, you, counts),
    )


def cast_document(document: Document, cast: Cast) -> Document | None:
    """The document with the model's speaker as `assistant` and every other as `user`.

    Narration stays `system`. None when the model's speaker says nothing in it: there would be
    nothing to learn. A document whose roles are known already stays as it is.
    """
    if not document.uncast:
        return document
    if not any(_plays(message, cast) for message in document.messages):
        return None
    return replace(
        document,
        uncast=False,
        messages=tuple(
            replace(message, role="assistant") if _plays(message, cast) else message
            for message in document.messages
        ),
    )


def rename(document: Document, names: Mapping[str, str]) -> Document:
    """The document with speakers' names changed, of its turns and not within their words."""

    def renamed(turns: tuple[Message, ...]) -> tuple[Message, ...]:
        return tuple(
            replace(turn, name=names.get(turn.name, turn.name)) if turn.name else turn
            for turn in turns
        )

    return replace(
        document,
        messages=renamed(document.messages),
        chosen=renamed(document.chosen),
        rejected=renamed(document.rejected),
    )


def _plays(message: Message, cast: Cast) -> bool:
    return message.role == "user" and message.name == cast.model


def _find(asked: str, ranked: list[str], counts: Mapping[str, SpeakerCount]) -> str:
    wanted = speaker_name(asked)
    if wanted in counts:
        return wanted
    folded = wanted.casefold()
    same = [name for name in ranked if name.casefold() == folded]
    begins = same or [name for name in ranked if name.casefold().startswith(folded)]
    if len(begins) == 1:
        return begins[0]
    if begins:
        message = f"Several speakers could be {wanted}: {', '.join(begins[:_NAMES_LISTED])}."
        raise CorpusError(message, "Give the whole name.")
    raise CorpusError(f"No speaker is called {wanted}.", f"Choose from {_listed(counts)}.")


def _listed(counts: Mapping[str, SpeakerCount]) -> str:
    """The most frequent speakers with their turns."""
    ranked = sorted(counts, key=lambda name: (-counts[name].turns, name))
    shown = ", ".join(f"{name} ({counts[name].turns})" for name in ranked[:_NAMES_LISTED])
    more = len(ranked) - _NAMES_LISTED
    return f"{shown} and {more} more" if more > 0 else shown


def _reason(model: str, you: str | None, counts: Mapping[str, SpeakerCount]) -> str:
    plays = f"The model plays {model} ({counts[model].turns} turns)"
    if you is None:
        return f"{plays}, the only speaker."
    everyone = " and everyone else" if len(counts) > 2 else ""
    return (
        f"{plays}; you play {you} ({counts[you].turns}){everyone}; choose with --model-plays NAME"
        " (when training: --set corpus.model_plays=NAME)."
    )
