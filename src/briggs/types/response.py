"""The chat completion response.

https://platform.openai.com/docs/api-reference/chat/object
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, ClassVar, Literal

from msgspec import UNSET, UnsetType

from briggs.types.json import Object, Unknown
from briggs.types.logprobs import ChoiceLogprobs
from briggs.types.tools import FunctionCall, ToolCall
from briggs.types.usage import CompletionUsage


class ObjectT(StrEnum):
    """The type of the object."""

    ChatCompletion = "chat.completion"
    CHAT_COMPLETION = "chat.completion"


class FinishReason(StrEnum):
    """Why the model stopped. An answer with any other reason is rejected."""

    Stop = "stop"
    """The model came to a natural end, or to one of the request's stop sequences."""
    Length = "length"
    """The model reached the maximum number of tokens."""
    ToolCalls = "tool_calls"
    """The model calls tools."""
    ContentFilter = "content_filter"
    """A content filter removed something."""
    FunctionCall = "function_call"
    """The model calls a function (deprecated)."""

    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"
    CONTENT_FILTER = "content_filter"
    FUNCTION_CALL = "function_call"


class ChatCompletionRole(StrEnum):
    """The author of a message."""

    Developer = "developer"
    System = "system"
    User = "user"
    Assistant = "assistant"
    Tool = "tool"
    Function = "function"

    DEVELOPER = "developer"
    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"
    FUNCTION = "function"


class ServiceTier(StrEnum):
    """The speed and price of an answer. Providers may have other values."""

    Auto = "auto"
    Default = "default"
    Flex = "flex"
    Scale = "scale"
    Priority = "priority"
    Fast = "fast"

    AUTO = "auto"
    DEFAULT = "default"
    FLEX = "flex"
    SCALE = "scale"
    PRIORITY = "priority"
    FAST = "fast"


class UrlCitation(Object):
    """A web page that supports a part of the content."""

    start_index: int
    """The start of the citation in the content, in characters."""
    end_index: int
    """The end of the citation in the content, in characters."""
    url: str
    title: str


class UrlCitationAnnotation(Object, tag_field="type", tag="url_citation"):
    """A citation of a web page."""

    type: ClassVar[Literal["url_citation"]] = "url_citation"
    url_citation: UrlCitation


class UnknownAnnotation(Unknown, tag_field="type", tag=""):
    """An annotation of a type that is not in the specification."""


class ChatCompletionAudio(Object):
    """The answer as speech."""

    id: str
    """The id with which a later message can refer to this audio."""
    expires_at: int
    """Unix time in seconds. The id can be used until then."""
    data: str
    """Base64 of the audio, in the format of the request."""
    transcript: str


class ChatCompletionResponseMessage(Object):
    """A message that the model wrote."""

    role: ChatCompletionRole
    """`assistant` in every response."""
    content: str | None = None
    refusal: str | None = None
    """Why the model does not answer. Null if it answers."""
    tool_calls: list[ToolCall] | UnsetType | None = UNSET
    """Absent if there are none. OpenAI's stored completions have null instead."""
    annotations: list[UrlCitationAnnotation | UnknownAnnotation] | UnsetType | None = UNSET
    audio: ChatCompletionAudio | UnsetType | None = UNSET
    function_call: FunctionCall | UnsetType | None = UNSET
    """Deprecated: use `tool_calls`."""


class Choice(Object):
    """One of the answers. A response has as many as the request's `n`."""

    finish_reason: FinishReason
    index: int
    """The position among the choices, from 0."""
    message: ChatCompletionResponseMessage
    logprobs: ChoiceLogprobs | None = None
    """Null if the request did not ask for them, or if the provider has none."""


Choices = Choice
"""The name of `Choice` in the Log10 SDKs."""


class Moderation(Object):
    """The result of moderating the input and the output.

    Each is an object whose `type` is `moderation_results` or `error`.
    """

    input: dict[str, Any]
    output: dict[str, Any]


class CreateChatCompletionResponse(Object):
    """A chat completion.

    If a required member that may be null is left out of the constructor, it is null. If it is
    missing in JSON, `decode` sets it to None, and `encode` leaves it out again.
    """

    id: str
    """The provider's identifier of the chat completion."""
    choices: list[Choice]
    created: int
    """Unix time in seconds when the chat completion was created."""
    model: str
    """The model that answered. It may be a dated version of the requested model."""
    object: ObjectT
    """Always `chat.completion`."""
    usage: CompletionUsage | UnsetType = UNSET
    service_tier: str | UnsetType | None = UNSET
    """The tier that served the request: one of `ServiceTier`, or a provider's own."""
    system_fingerprint: str | UnsetType | None = UNSET
    """Identifies the model's configuration. If it changes, a `seed` may give other results."""
    metadata: dict[str, str] | UnsetType | None = UNSET
    """At most 16 pairs from the caller. Keys have up to 64 characters, values up to 512."""
    moderation: Moderation | UnsetType | None = UNSET
