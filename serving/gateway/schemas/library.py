"""Stories, comparisons, gold edits, the inbox and presets: what a request may say."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from lmft.play.actions import Mode
from serving.gateway.schemas.requests import (
    Penalty,
    SamplerFields,
    Stops,
    Strict,
    Text,
    fault,
)

MAX_TEXT_CHARACTERS = 100_000
MAX_TURNS_AT_ONCE = 100
MAX_CONTEXT_MESSAGES = 1_000
MAX_ANSWERS_COMPARED = 8
MAX_SETTINGS_CHARACTERS = 100_000
MAX_SETTINGS_LEVELS = 20
_MOST = 2**31 - 1


def _storable(text: str) -> str:
    if "\x00" in text:
        raise ValueError(f"a NUL character at {text.index(chr(0))}")
    return text


def _storable_json(value: dict[str, Any]) -> dict[str, Any]:
    _require_shallow(value, MAX_SETTINGS_LEVELS)
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        text.encode()
    except ValueError as error:
        raise ValueError("no plain JSON: infinity, NaN, or half a surrogate pair") from error
    if len(text) > MAX_SETTINGS_CHARACTERS:
        raise ValueError(f"more than {MAX_SETTINGS_CHARACTERS} characters of JSON")
    return value


def _require_shallow(value: Any, levels: int) -> None:
    if not isinstance(value, dict | list):
        return
    if not levels:
        raise ValueError(f"more than {MAX_SETTINGS_LEVELS} levels deep")
    for inner in value.values() if isinstance(value, dict) else value:
        _require_shallow(inner, levels - 1)


def _some_words(text: str) -> str:
    if not text.strip():
        raise ValueError("no text")
    return text


Kept = Annotated[Text, AfterValidator(_storable)]
Body = Annotated[Kept, StringConstraints(max_length=MAX_TEXT_CHARACTERS)]
Words = Annotated[Body, StringConstraints(min_length=1), AfterValidator(_some_words)]
Title = Annotated[Kept, StringConstraints(max_length=200)]
ModelName = Annotated[Kept, StringConstraints(min_length=1, max_length=300)]
Fingerprint = Annotated[Kept, StringConstraints(min_length=1, max_length=64)]
Reason = Annotated[Kept, StringConstraints(min_length=1, max_length=20)]
Id = Annotated[str, StringConstraints(max_length=80)]
# As the names before the turns of a chat are: one line without a colon.
Name = Annotated[Text, StringConstraints(pattern=r"^[^:\r\n\x00]+$", max_length=40)]
Voter = Annotated[Text, StringConstraints(pattern=r"^[^\r\n\x00]+$", max_length=64)]
Settings = Annotated[dict[str, Any], AfterValidator(_storable_json)]
Count = Annotated[int, Field(ge=0, le=_MOST)]
Version = Annotated[int, Field(ge=1, le=_MOST)]
StoryKind = Literal["story", "adventure", "chat"]


class Sampler(SamplerFields):
    """Sampler values as /v1/completions and /v1/chat/completions take them."""

    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    stop: Stops | None = None

    def given(self) -> dict[str, Any]:
        return self.model_dump(exclude_none=True)


class StoryRequest(Strict):
    kind: StoryKind = "story"
    title: Title = ""
    model: ModelName | None = None
    settings: Settings = Field(default_factory=dict)


class StoryPatch(Strict):
    """What is left out stays; `head` and `model` may be null, for none."""

    version: Version
    title: Title | None = None
    model: ModelName | None = None
    settings: Settings | None = None
    head: Id | None = None

    def changes(self) -> dict[str, Any]:
        given = self.model_dump(exclude_unset=True, exclude={"version"})
        for name in ("title", "settings"):
            if given.get(name, "") is None:
                del given[name]
        return given


class _Written(Strict):
    """Which weights wrote it, and how."""

    adapter: Fingerprint | None = None
    sampler: Sampler | None = None
    finish_reason: Reason | None = None


class TurnRequest(_Written):
    by: Literal["narrator", "player", "system"]
    text: Words
    mode: Mode | None = None
    name: Name | None = None
    shown: Body | None = None
    model: ModelName | None = None
    tokens: Count | None = None
    dropped_turns: Count | None = None

    @model_validator(mode="after")
    def _only_players_have_a_mode(self) -> Self:
        if self.mode is not None and self.by != "player":
            raise fault("mode", "only a player's turn has one")
        return self


class TurnsRequest(Strict):
    turns: list[TurnRequest] = Field(min_length=1, max_length=MAX_TURNS_AT_ONCE)
    parent: Id | None = "head"
    version: Version | None = None
    move_head: bool = True


class TurnEditRequest(Strict):
    text: Words
    version: Version | None = None


class ContextMessage(Strict):
    role: Literal["system", "user", "assistant"]
    content: Body
    name: Name | None = None


Context = Annotated[list[ContextMessage], Field(max_length=MAX_CONTEXT_MESSAGES)]


class AnswerRequest(_Written):
    text: Body
    model: ModelName


class ComparisonRequest(Strict):
    prompt: Body
    context: Context = Field(default_factory=list)
    answers: list[AnswerRequest] = Field(min_length=2, max_length=MAX_ANSWERS_COMPARED)
    blind: bool = False


class VoteRequest(Strict):
    choice: (
        Annotated[int, Field(strict=True, ge=0, lt=MAX_ANSWERS_COMPARED)] | Literal["tie", "bad"]
    )
    voter: Voter | None = None


class EditRequest(Strict):
    """Of a turn of a story, or free: then with `original` and `context`."""

    edited: Words
    story: Id | None = None
    turn: Id | None = None
    original: Body | None = None
    context: Context | None = None
    model: ModelName | None = None
    adapter: Fingerprint | None = None

    @model_validator(mode="after")
    def _of_a_turn_or_free(self) -> Self:
        if (self.story is None) != (self.turn is None):
            raise fault("turn", "goes together with `story`")
        free = ("original", "context", "model", "adapter")
        if self.turn is None:
            if self.original is None:
                raise fault("original", "give it, or `story` and `turn`")
        elif given := [name for name in free if getattr(self, name) is not None]:
            raise fault(given[0], "is the turn's own; leave it out")
        return self


class EntryPatch(Strict):
    status: Literal["pending", "accepted", "dismissed"]


class ExportRequest(Strict):
    format: Literal["chat", "completion", "preference"]
    kind: Literal["edit", "vote"] | None = None
    filename: Annotated[Kept, StringConstraints(min_length=1, max_length=200)] = "inbox.jsonl"
