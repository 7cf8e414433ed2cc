"""What a request may say: vLLM's fields, as far as the gateway and the probe ask for them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from serving.engine.local.sampling import Sampling
from serving.engine.local.sequence import Ask

MAX_LOGPROBS = 20
MAX_CHOICES = 16
_Token = Annotated[int, Field(ge=0)]
_Scores = Annotated[int, Field(ge=0, le=MAX_LOGPROBS)]


class QuestionError(Exception):
    """A request that cannot be answered; the message is for people."""


class StreamOptions(BaseModel):
    model_config = ConfigDict(extra="forbid")

    include_usage: bool = False


class Question(BaseModel):
    """The body of a completion. Null means what is left out means."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    model: str
    prompt: list[Annotated[list[_Token], Field(min_length=1)]] = Field(min_length=1)
    max_tokens: int = Field(default=16, ge=0)
    n: int = Field(default=1, ge=1, le=MAX_CHOICES)
    temperature: float = Field(default=1, ge=0)
    top_p: float = Field(default=1, gt=0, le=1)
    top_k: int = Field(default=0, ge=-1)
    min_p: float = Field(default=0, ge=0, le=1)
    seed: int | None = Field(default=None, ge=-(2**63), le=2**63 - 1)
    presence_penalty: float = Field(default=0, ge=-2, le=2)
    frequency_penalty: float = Field(default=0, ge=-2, le=2)
    repetition_penalty: float = Field(default=1, gt=0)
    logit_bias: dict[int, float] = Field(default_factory=dict)
    min_tokens: int = Field(default=0, ge=0)
    stop: list[Annotated[str, Field(min_length=1)]] = Field(default_factory=list)
    ignore_eos: bool = False
    logprobs: _Scores | None = None
    prompt_logprobs: _Scores | None = None
    echo: bool = False
    return_token_ids: bool = False
    stream: bool = False
    stream_options: StreamOptions = StreamOptions()

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, body: Any) -> Any:
        if not isinstance(body, dict):
            return body
        return {key: value for key, value in body.items() if value is not None}

    @field_validator("prompt", mode="before")
    @classmethod
    def _list_of_prompts(cls, prompt: Any) -> Any:
        if isinstance(prompt, list) and prompt and isinstance(prompt[0], int):
            return [prompt]
        return prompt

    @field_validator("stop", mode="before")
    @classmethod
    def _list_of_stops(cls, stop: Any) -> Any:
        return [stop] if isinstance(stop, str) else stop

    @model_validator(mode="after")
    def _makes_sense(self) -> Question:
        if self.max_tokens == 0 and not self.echo:
            raise ValueError("max_tokens must be at least 1, unless echo is asked for")
        if self.min_tokens > self.max_tokens:
            raise ValueError("min_tokens is more than max_tokens")
        return self

    def require(self, context_length: int, vocabulary: int) -> None:
        """Raise QuestionError for what this model cannot take."""
        longest = max(map(len, self.prompt)) + self.max_tokens
        if longest > context_length:
            raise QuestionError(
                f"This model's context is {context_length} tokens; "
                f"prompt and answer have {longest}."
            )
        if max(map(max, (*self.prompt, [*self.logit_bias, 0]))) >= vocabulary:
            raise QuestionError(f"The vocabulary has {vocabulary} tokens.")
        if min((*self.logit_bias, 0)) < 0:
            raise QuestionError("A token of logit_bias is negative.")

    def asks(self, adapter: str) -> list[Ask]:
        """One for each choice: those of the first prompt, then those of the next."""
        scored_prompt = self.prompt_logprobs
        if scored_prompt is None and self.echo:
            scored_prompt = self.logprobs
        return [
            Ask(
                tuple(prompt),
                adapter,
                self.max_tokens,
                self._sampling(number),
                tuple(self.stop),
                self.ignore_eos,
                self.logprobs,
                scored_prompt,
            )
            for prompt in self.prompt
            for number in range(self.n)
        ]

    def _sampling(self, number: int) -> Sampling:
        seed = self.seed
        if seed is not None:
            # Else all choices of one seed were the same; it wraps where a seed ends.
            seed = (seed + number + 2**63) % 2**64 - 2**63
        return Sampling(
            self.temperature,
            self.top_p,
            self.top_k,
            self.min_p,
            seed,
            self.presence_penalty,
            self.frequency_penalty,
            self.repetition_penalty,
            tuple(self.logit_bias.items()),
            self.min_tokens,
        )


def read_question(body: bytes) -> Question:
    """Raises QuestionError, with every field that is wrong in one line."""
    try:
        return Question.model_validate_json(body)
    except ValidationError as error:
        faults = []
        for fault in error.errors(include_url=False, include_context=False, include_input=False):
            where = ".".join(str(part) for part in fault["loc"]) or "body"
            unknown = fault["type"] == "extra_forbidden"
            why = "is not known to lmft's own engine" if unknown else fault["msg"]
            faults.append(f"{where}: {why}")
        raise QuestionError("; ".join(faults[:5]) + ".") from error
