"""What a request may say. Unknown fields are refused: nothing is ignored silently, and nothing
(a template, embeddings, an image, a path) reaches the engine that is not named here."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
)

from lmft.play.actions import Mode

MAX_PROMPTS = 64
MAX_TURNS = 10_000


def _whole_characters(text: str) -> str:
    """JSON can write half a surrogate pair; no tokenizer and no answer can."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"half a surrogate pair at character {error.start}") from error
    return text


Text = Annotated[str, AfterValidator(_whole_characters)]
StopString = Annotated[Text, StringConstraints(min_length=1, max_length=100)]
Token = Annotated[int, Field(ge=0)]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    model: Text = Field(min_length=1, max_length=300)


class _Sampling(_Request):
    """The sampling fields; None takes the format contract's value."""

    max_tokens: int | None = Field(default=None, ge=1)
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    repetition_penalty: float | None = Field(default=None, ge=0.5, le=2)
    seed: int | None = Field(default=None, ge=-(2**63), le=2**63 - 1)


class StreamOptions(BaseModel):
    model_config = ConfigDict(extra="forbid")

    include_usage: bool = False
    include_obfuscation: bool = False


class _OpenAISampling(_Sampling):
    n: int = Field(default=1, ge=1, le=4)
    stop: StopString | Annotated[list[StopString], Field(max_length=8)] | None = None
    presence_penalty: float = Field(default=0, ge=-2, le=2)
    frequency_penalty: float = Field(default=0, ge=-2, le=2)
    logit_bias: dict[str, float] | None = Field(default=None, max_length=300)
    stream: bool = False
    stream_options: StreamOptions | None = None
    user: str | None = None

    @property
    def include_usage(self) -> bool:
        return self.stream_options is not None and self.stream_options.include_usage


class CompletionRequest(_OpenAISampling):
    prompt: (
        Text
        | Annotated[list[Text], Field(min_length=1, max_length=MAX_PROMPTS)]
        | Annotated[list[Token], Field(min_length=1)]
        | Annotated[list[list[Token]], Field(min_length=1, max_length=MAX_PROMPTS)]
    )
    echo: bool = False
    logprobs: int | None = Field(default=None, ge=0, le=5)


class TextPart(BaseModel):
    model_config = ConfigDict(extra="forbid")

    type: Literal["text"]
    text: Text


class ChatMessage(BaseModel):
    model_config = ConfigDict(extra="forbid")

    role: Literal["system", "developer", "user", "assistant"]
    content: Text | list[TextPart]
    name: str | None = None

    @property
    def text(self) -> str:
        if isinstance(self.content, str):
            return self.content
        return "".join(part.text for part in self.content)


class ChatRequest(_OpenAISampling):
    messages: list[ChatMessage] = Field(min_length=1, max_length=MAX_TURNS)
    max_completion_tokens: int | None = Field(default=None, ge=1)


class PlayTurn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    by: Literal["narrator", "player"]
    text: Text
    mode: Mode = "do"


class PlayRequest(_Sampling):
    turns: list[PlayTurn] = Field(min_length=1, max_length=MAX_TURNS)

    @field_validator("turns")
    @classmethod
    def _some_text(cls, turns: list[PlayTurn]) -> list[PlayTurn]:
        if not any(turn.text.strip() for turn in turns):
            raise ValueError("the story is empty: give an opening first")
        return turns


def openai_fields(request: _OpenAISampling) -> dict[str, Any]:
    """The fields that go to the engine as they are."""
    fields: dict[str, Any] = {
        "n": request.n,
        "presence_penalty": request.presence_penalty,
        "frequency_penalty": request.frequency_penalty,
    }
    if request.logit_bias:
        fields["logit_bias"] = request.logit_bias
    return fields
