"""Stories, comparisons, gold edits, the inbox and presets as they are answered."""

from __future__ import annotations

from typing import Any, Literal

from serving.gateway.schemas.library import StoryKind
from serving.gateway.schemas.objects import Object


class Listing(Object):
    object: Literal["list"]
    first_id: str | None
    last_id: str | None
    has_more: bool


class Story(Object):
    id: str
    object: Literal["lmft.story"]
    kind: StoryKind
    title: str
    model: str | None
    settings: dict[str, Any]
    head: str | None
    version: int
    created_at: int
    updated_at: int


class StoryList(Listing):
    data: list[Story]


class Turn(Object):
    id: str
    object: Literal["lmft.turn"]
    story: str
    parent: str | None
    edited_from: str | None
    by: Literal["narrator", "player", "system"]
    mode: Literal["do", "say", "story"] | None
    name: str | None
    text: str
    shown: str | None
    model: str | None
    adapter: str | None
    sampler: dict[str, Any] | None
    finish_reason: str | None
    tokens: int | None
    dropped_turns: int | None
    created_at: int


class TurnList(Listing):
    data: list[Turn]


class StoryTurns(Object):
    """A story with turns: those just added, or all there are."""

    object: Literal["lmft.story.turns"]
    story: Story
    turns: list[Turn]


class Message(Object):
    role: Literal["system", "user", "assistant"]
    content: str
    name: str | None = None


class Answer(Object):
    """`model` and what follows are null as long as a blind comparison has no vote."""

    place: int
    text: str
    model: str | None
    adapter: str | None
    sampler: dict[str, Any] | None
    finish_reason: str | None


class Comparison(Object):
    id: str
    object: Literal["lmft.comparison"]
    prompt: str
    context: list[Message]
    blind: bool
    hidden: bool
    answers: list[Answer]
    created_at: int


class ComparisonList(Listing):
    data: list[Comparison]


class Vote(Object):
    id: str
    object: Literal["lmft.vote"]
    comparison: str
    voter: str
    choice: int | Literal["tie", "bad"]
    counts: bool
    created_at: int


class VoteList(Listing):
    data: list[Vote]


class PairCount(Object):
    model_a: str
    model_b: str
    wins_a: int
    wins_b: int
    ties: int
    bad: int
    votes: int


class PairCounts(Object):
    object: Literal["lmft.comparison.counts"]
    data: list[PairCount]


class Edit(Object):
    id: str
    object: Literal["lmft.edit"]
    story: str | None
    turn: str | None
    context: list[Message]
    original: str
    edited: str
    model: str | None
    adapter: str | None
    created_at: int


class EditList(Listing):
    data: list[Edit]


class Entry(Object):
    id: str
    object: Literal["lmft.inbox.entry"]
    kind: Literal["edit", "vote"]
    status: Literal["pending", "accepted", "dismissed", "exported"]
    edit: str | None
    vote: str | None
    comparison: str | None
    context: list[Message]
    chosen: str
    rejected: list[str]
    file: str | None
    created_at: int
    changed_at: int


class EntryList(Listing):
    data: list[Entry]


class Export(Object):
    object: Literal["lmft.inbox.export"]
    file: str
    filename: str
    format: Literal["chat", "completion", "preference"]
    bytes: int
    rows: int
    entries: int
    left: int


class Preset(Object):
    id: str
    object: Literal["lmft.preset"]
    name: str
    sampler: dict[str, Any]
    created_at: int
    updated_at: int


class PresetList(Listing):
    data: list[Preset]


class Deleted(Object):
    id: str
    object: Literal["lmft.story", "lmft.comparison", "lmft.edit", "lmft.preset"]
    deleted: Literal[True]
