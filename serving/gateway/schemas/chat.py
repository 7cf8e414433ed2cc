"""What a chat request may say: messages, tools, the form of the answer."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, StringConstraints, field_validator, model_validator
from pydantic_core import PydanticCustomError

from serving.gateway.schemas.json_schema import check_schema
from serving.gateway.schemas.requests import MAX_TURNS, OpenAISampling, Strict, Text, fault

MAX_TOOLS = 32

Name = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]


class TextPart(Strict):
    type: Literal["text"]
    text: Text


def _text_only(value: Any) -> Any:
    if isinstance(value, list):
        for part in value:
            if isinstance(part, dict) and part.get("type", "text") != "text":
                raise PydanticCustomError(
                    "unsupported_content", "only parts of type `text`: lmft's models read text"
                )
    elif value is not None and not isinstance(value, str):
        raise PydanticCustomError("content_type", "must be a text or a list of text parts")
    return value


Content = Annotated[Text | list[TextPart], BeforeValidator(_text_only)]


class FunctionCall(Strict):
    name: Name
    arguments: Text


class ToolCall(Strict):
    id: Text
    type: Literal["function"] = "function"
    function: FunctionCall


class ChatMessage(Strict):
    """A message as it is asked, or as an answer's message comes back in the next request."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Content | None = None
    name: Text | None = Field(default=None, max_length=100)
    tool_calls: list[ToolCall] | None = Field(default=None, max_length=128)
    tool_call_id: Text | None = None
    # What OpenAI's own answers carry beside their text, empty.
    refusal: None = None
    audio: None = None
    function_call: None = None
    annotations: Annotated[list[None], Field(max_length=0)] | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.content is None and not (self.role == "assistant" and self.tool_calls):
            raise ValueError("`content` is missing")
        if self.tool_calls and self.role != "assistant":
            raise ValueError("only an assistant calls tools")
        if (self.role == "tool") != (self.tool_call_id is not None):
            raise ValueError("`tool_call_id` belongs to a message of role `tool`")
        return self

    @property
    def text(self) -> str:
        if self.content is None or isinstance(self.content, str):
            return self.content or ""
        return "".join(part.text for part in self.content)


class Function(Strict):
    name: Name
    description: Text | None = Field(default=None, max_length=4096)
    parameters: dict[str, Any] | None = None
    strict: bool | None = None

    @field_validator("parameters")
    @classmethod
    def _bounded(cls, schema: dict[str, Any] | None) -> dict[str, Any] | None:
        return check_schema(schema) if schema else schema


class Tool(Strict):
    type: Literal["function"]
    function: Function


class _FunctionName(Strict):
    name: Name


class NamedTool(Strict):
    type: Literal["function"]
    function: _FunctionName


class TextFormat(Strict):
    type: Literal["text"]


class JsonFormat(Strict):
    type: Literal["json_object"]


class JsonSchema(Strict):
    name: Name
    description: Text | None = None
    schema_: dict[str, Any] = Field(alias="schema")
    strict: bool | None = None

    @field_validator("schema_")
    @classmethod
    def _bounded(cls, schema: dict[str, Any]) -> dict[str, Any]:
        return check_schema(schema)


class JsonSchemaFormat(Strict):
    type: Literal["json_schema"]
    json_schema: JsonSchema


ResponseFormat = Annotated[TextFormat | JsonFormat | JsonSchemaFormat, Field(discriminator="type")]


class ChatRequest(OpenAISampling):
    messages: list[ChatMessage] = Field(min_length=1, max_length=MAX_TURNS)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    logprobs: bool = False
    top_logprobs: int | None = Field(default=None, ge=0, le=20)
    response_format: ResponseFormat | None = None
    tools: Annotated[list[Tool], Field(max_length=MAX_TOOLS)] | None = None
    tool_choice: Literal["none", "auto", "required"] | NamedTool | None = None
    parallel_tool_calls: bool = True
    # No base here reasons apart from its answer: there is nothing to be spent on it.
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None = None

    @model_validator(mode="after")
    def _together(self) -> Self:
        names = {tool.function.name for tool in self.tools or []}
        if self.top_logprobs is not None and not self.logprobs:
            raise fault("top_logprobs", "needs `logprobs: true`")
        if self.tool_choice not in (None, "none", "auto") and not names:
            raise fault("tool_choice", "needs `tools`")
        if isinstance(self.tool_choice, NamedTool) and self.tool_choice.function.name not in names:
            raise fault("tool_choice", f"`tools` has no {self.tool_choice.function.name}")
        if len(names) != len(self.tools or []):
            raise fault("tools", "two functions have the same name")
        if self.json_format is not None and self.tool_choice not in (None, "none") and names:
            raise fault("response_format", "an answer is JSON or calls a tool, not both")
        return self

    @property
    def json_format(self) -> dict[str, Any] | None:
        """The form of the answer as vLLM's `structured_outputs`; None for plain text."""
        match self.response_format:
            case JsonFormat():
                return {"json_object": True}
            case JsonSchemaFormat(json_schema=wanted):
                return {"json": json.dumps(wanted.schema_)}
            case _:
                return None
