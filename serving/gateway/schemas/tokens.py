"""What a request about tokens may say."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from serving.gateway.schemas.chat import MAX_TOOLS, ChatMessage, Tool
from serving.gateway.schemas.requests import MAX_TOKEN_IDS, MAX_TURNS, Addressed, Text, Token, fault


class TokenizeRequest(Addressed):
    """A prompt as POST /v1/completions takes it, or messages as a chat does."""

    prompt: Text | None = None
    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=MAX_TURNS)] | None = None
    tools: Annotated[list[Tool], Field(max_length=MAX_TOOLS)] | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.prompt is None) == (self.messages is None):
            raise fault("prompt", "give `prompt` or `messages`, one of both")
        return self


class DetokenizeRequest(Addressed):
    tokens: list[Token] = Field(max_length=MAX_TOKEN_IDS)
