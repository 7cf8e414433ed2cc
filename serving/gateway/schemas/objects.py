"""OpenAI's objects as the OpenAPI document describes them; the routes build plain dicts."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from lmft.format.contract import SamplerDefaults, Speakers
from lmft.registry.traffic import Summary, Window


class Object(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ErrorDetail(Object):
    message: str
    type: str
    param: str | None
    code: str | None


class Error(Object):
    error: ErrorDetail


class Usage(Object):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class _Answer(Object):
    id: str
    created: int
    model: str
    system_fingerprint: str


class CompletionLogprobs(Object):
    tokens: list[str]
    token_logprobs: list[float | None]
    top_logprobs: list[dict[str, float] | None]
    text_offset: list[int]


FinishReason = Literal["stop", "length", "tool_calls", "repetition"]


class CompletionChoice(Object):
    index: int
    text: str
    logprobs: CompletionLogprobs | None
    finish_reason: FinishReason | None


class Completion(_Answer):
    """Also a chunk of a stream: without `usage` unless it was asked for."""

    object: Literal["text_completion"]
    choices: list[CompletionChoice]
    usage: Usage | None = None


class Token(Object):
    token: str
    logprob: float
    bytes: list[int] | None


class ChosenToken(Token):
    top_logprobs: list[Token]


class ChatLogprobs(Object):
    content: list[ChosenToken]
    refusal: None


class CalledFunction(Object):
    name: str
    arguments: str


class ToolCall(Object):
    id: str
    type: Literal["function"]
    function: CalledFunction


class ToolCallDelta(ToolCall):
    index: int


class ChatMessage(Object):
    role: Literal["assistant"]
    content: str | None
    refusal: None
    tool_calls: list[ToolCall] | None = None


class ChatChoice(Object):
    index: int
    message: ChatMessage
    logprobs: ChatLogprobs | None
    finish_reason: FinishReason


class ChatCompletion(_Answer):
    object: Literal["chat.completion"]
    choices: list[ChatChoice]
    usage: Usage


class ChatDelta(Object):
    role: Literal["assistant"] | None = None
    content: str | None = None
    refusal: None = None
    tool_calls: list[ToolCallDelta] | None = None


class ChatChunkChoice(Object):
    index: int
    delta: ChatDelta
    logprobs: ChatLogprobs | None
    finish_reason: FinishReason | None


class ChatCompletionChunk(_Answer):
    object: Literal["chat.completion.chunk"]
    choices: list[ChatChunkChoice]
    usage: Usage | None = None


class Probe(BaseModel):
    """Figures of the parity probe, in nats a token; serving.engine.probe says what each is."""

    adapter_effect: float
    adapter_difference: float
    greedy_agreement: float


class ModelDetail(Object):
    kind: Literal["base", "story", "adventure", "chat", "instruct"]
    base: str
    adapter: str
    alias_of: str | None
    state: Literal["live", "loading", "idle", "failed"]
    detail: str
    service: Literal["lora", "merged", "transformers"]
    opening: str | None
    sampler: SamplerDefaults
    speakers: Speakers | None
    context_length: int
    probe: Probe | None
    # Where one model is asked for; docs/operations.md says what the figures mean.
    traffic: dict[Window, Summary] | None = None


class Model(Object):
    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    lmft: ModelDetail


class ModelList(Object):
    object: Literal["list"]
    data: list[Model]


class DeletedModel(Object):
    id: str
    object: Literal["model"]
    deleted: Literal[True]


class Tokenized(Object):
    tokens: list[int]
    pieces: list[str]
    count: int
    context_length: int


class Detokenized(Object):
    text: str


class PlayEvent(BaseModel):
    """`type` decides what else is there; docs/api.md says what."""

    type: Literal["turn", "delta", "done"]
    text: str
