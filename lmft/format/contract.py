"""`lmft_format.json`: how an adapter was taught to read and write.

It lies beside the adapter from the moment of training. Whatever shows text to the model or
its text to a person (trainer, gateway, page, terminal) goes through it, because the commonest
complaint in this field is a model that was good in the trainer and bad when served.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

FILE_NAME = "lmft_format.json"

Kind = Literal["base", "story", "adventure", "chat", "instruct"]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Speakers(_Strict):
    """Names written before each turn of a chat: the person's and the model's."""

    user: str = Field(default="User", min_length=1, max_length=40)
    assistant: str = Field(default="Assistant", min_length=1, max_length=40)

    @field_validator("user", "assistant")
    @classmethod
    def _one_word_line(cls, name: str) -> str:
        if ":" in name or "\n" in name or name != name.strip():
            raise ValueError("a speaker's name must be one line without a colon")
        return name


class SamplerDefaults(_Strict):
    """What a request gets where it says nothing."""

    temperature: float = Field(default=0.8, ge=0, le=2)
    top_p: float = Field(default=0.95, gt=0, le=1)
    repetition_penalty: float = Field(default=1.1, ge=1, le=2)
    max_tokens: int = Field(default=80, ge=1, le=4096)


class FormatContract(_Strict):
    """One adapter's (or base's) format.

    Attributes:
        turn_template: how a player's action is set into a story; `{action}` is the action.
        chat_template: `plain` writes `Name: text` lines; `base` uses the base tokenizer's own
            template, for bases that were trained with chat tokens.
        stop: strings that end a reply; they are not part of it.
        trim_to_sentence: drop an unfinished last sentence when the reply ran out of tokens.
        fold_quotes: the base knows straight quotes only.
    """

    version: Literal[1] = 1
    kind: Kind
    turn_template: str = "\n> {action}\n"
    person: Literal["first", "second", "third"] = "second"
    speakers: Speakers | None = None
    chat_template: Literal["plain", "base"] = "plain"
    stop: tuple[str, ...] = ()
    eos: str
    trim_to_sentence: bool = True
    context_length: int = Field(ge=16)
    sampler: SamplerDefaults = SamplerDefaults()
    fold_quotes: bool = False
    opening: str | None = None
    corpus_hash: str | None = None

    @field_validator("turn_template")
    @classmethod
    def _has_action(cls, template: str) -> str:
        if template.count("{action}") != 1:
            raise ValueError("turn_template must hold {action} exactly once")
        return template

    def write(self, directory: Path) -> None:
        (directory / FILE_NAME).write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, directory: Path) -> FormatContract:
        return cls.model_validate_json((directory / FILE_NAME).read_text(encoding="utf-8"))


def default_stops(
    kind: Kind, speakers: Speakers | None, others: Sequence[str] = ()
) -> tuple[str, ...]:
    """Where a reply ends: before the player's next action, or before another one speaks."""
    if kind in ("chat", "instruct"):
        names = speakers or Speakers()
        return tuple(f"\n{name}:" for name in (names.user, names.assistant, *others))
    return ("\n>",)
