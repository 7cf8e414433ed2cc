"""What a request may say. Unknown fields are refused: nothing is ignored silently, and nothing
(a template, embeddings, an image, a path) reaches the engine that is not named here.

The fields of a chat are in `chat`, those that are understood and of no use in `foreign`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from lmft.play.actions import Mode
from serving.gateway.schemas import foreign

MAX_PROMPTS = 64
# Prompts times `n`: what one request may make the engine do at once.
MAX_ANSWERS = 64
MAX_N = 16
MAX_TURNS = 10_000
# vLLM is started with room for more (serving.engine.settings): a contract may have a stop for each
# name of a cast.
MAX_STOPS = 16
# No context is longer.
MAX_TOKEN_IDS = 1_000_000


def _whole_characters(text: str) -> str:
    """JSON can write half a surrogate pair; no tokenizer and no answer can."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"half a surrogate pair at character {error.start}") from error
    return text


Text = Annotated[str, AfterValidator(_whole_characters)]
StopString = Annotated[Text, StringConstraints(min_length=1, max_length=100)]
Stops = StopString | Annotated[list[StopString], Field(max_length=MAX_STOPS)]
Penalty = Annotated[float, Field(ge=-2, le=2)]
Token = Annotated[int, Field(ge=0, le=2**31 - 1)]
TokenIds = Annotated[list[Token], Field(min_length=1, max_length=MAX_TOKEN_IDS)]
TokenKey = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,9}$")]
Bias = Annotated[float, Field(ge=-100, le=100)]
Metadata = Annotated[
    dict[
        Annotated[str, StringConstraints(max_length=64)],
        Annotated[str, StringConstraints(max_length=512)],
    ],
    Field(max_length=16),
]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Addressed(Strict):
    """A request to one model."""

    model: Text = Field(min_length=1, max_length=300)

    @model_validator(mode="before")
    @classmethod
    def _nulls_are_left_out(cls, data: Any) -> Any:
        """In OpenAI's API null stands for a field's default."""
        if not isinstance(data, dict):
            return data
        known = cls.model_fields
        return {key: data[key] for key in data if data[key] is not None or key not in known}


class SamplerFields(Strict):
    """The sampling fields; what is left out takes the format contract's value."""

    max_tokens: int | None = Field(default=None, ge=1)
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, ge=0, le=1)
    top_k: int | None = Field(default=None, ge=-1, le=2**31 - 1)
    min_p: float | None = Field(default=None, ge=0, le=1)
    repetition_penalty: float | None = Field(default=None, ge=0.5, le=2)
    seed: int | None = Field(default=None, ge=-(2**63), le=2**63 - 1)


class Sampling(SamplerFields, Addressed):
    """A request to one model that draws tokens."""


class StreamOptions(Strict):
    include_usage: bool = False
    include_obfuscation: bool = False


class OpenAISampling(Sampling):
    """What completions and chat completions share."""

    n: int = Field(default=1, ge=1, le=MAX_N)
    stop: Stops | None = None
    presence_penalty: Penalty = 0
    frequency_penalty: Penalty = 0
    logit_bias: dict[TokenKey, Bias] | None = Field(default=None, max_length=300)
    stream: bool = False
    stream_options: StreamOptions | None = None
    # Accepted because they change nothing in an answer.
    user: Text | None = None
    metadata: Metadata | None = None
    store: bool | None = None
    service_tier: Literal["auto", "default", "flex", "scale", "priority"] | None = None
    safety_identifier: Text | None = None
    prompt_cache_key: Text | None = None

    @model_validator(mode="before")
    @classmethod
    def _foreign(cls, data: Any) -> Any:
        return foreign.without(data, cls.model_fields) if isinstance(data, dict) else data

    @property
    def include_usage(self) -> bool:
        return self.stream_options is not None and self.stream_options.include_usage


def _kind_of_prompt(value: Any) -> str | None:
    match value:
        case str():
            return "text"
        case [str(), *_]:
            return "texts"
        case [int(), *_]:
            return "tokens"
        case [list(), *_]:
            return "token_lists"
    return None


# Told apart by hand, so that a fault is one of the kind that was meant, not of all four.
Prompt = Annotated[
    Annotated[Text, Tag("text")]
    | Annotated[list[Text], Field(max_length=MAX_PROMPTS), Tag("texts")]
    | Annotated[TokenIds, Tag("tokens")]
    | Annotated[list[TokenIds], Field(max_length=MAX_PROMPTS), Tag("token_lists")],
    Discriminator(
        _kind_of_prompt,
        custom_error_type="prompt_kind",
        custom_error_message="must be a text, token ids, or a list of such",
    ),
]


class CompletionRequest(OpenAISampling):
    max_tokens: int | None = Field(default=None, ge=0)
    prompt: Prompt
    echo: bool = False
    # OpenAI stops at 5; vLLM gives 20, and SillyTavern asks for 10.
    logprobs: int | None = Field(default=None, ge=0, le=20)

    @property
    def prompts(self) -> Sequence[str | list[int]]:
        """One or several, however they were given."""
        if isinstance(self.prompt, str):
            return [self.prompt]
        if isinstance(self.prompt[0], int):
            return [self.prompt]
        return cast(Sequence[str | list[int]], self.prompt)

    @model_validator(mode="after")
    def _together(self) -> Self:
        if len(self.prompts) * self.n > MAX_ANSWERS:
            raise fault("n", f"prompts times n must be at most {MAX_ANSWERS}")
        if self.max_tokens == 0 and not self.echo:
            raise fault("max_tokens", "0 is for `echo` only")
        return self


def fault(param: str, message: str) -> PydanticCustomError:
    """A fault that pydantic cannot place by itself: it concerns several fields."""
    return PydanticCustomError("together", "{message}", {"param": param, "message": message})


class PlayTurn(Strict):
    by: Literal["narrator", "player"]
    text: Text
    mode: Mode = "do"


class PlayRequest(Sampling):
    turns: list[PlayTurn] = Field(min_length=1, max_length=MAX_TURNS)

    @field_validator("turns")
    @classmethod
    def _some_text(cls, turns: list[PlayTurn]) -> list[PlayTurn]:
        if not any(turn.text.strip() for turn in turns):
            raise ValueError("the story is empty: give an opening first")
        return turns
