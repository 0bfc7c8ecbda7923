"""The chat completion response that a model returns on the provided input.

https://platform.openai.com/docs/api-reference/chat/object
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, ClassVar, Literal

from msgspec import UNSET, UnsetType

from briggs.types.logprobs import ChoiceLogprobs
from briggs.types.tools import FunctionCall, ToolCall
from briggs.types.usage import CompletionUsage
from briggs.types.wire import Object, Unknown


class ObjectT(StrEnum):
    """What kind of object it is."""

    ChatCompletion = "chat.completion"
    CHAT_COMPLETION = "chat.completion"


class FinishReason(StrEnum):
    """Why the model stopped; an answer with any other reason is refused, never guessed at."""

    Stop = "stop"
    """It came to a natural end, or to one of the request's stop sequences."""
    Length = "length"
    """It reached the most tokens that it may write."""
    ToolCalls = "tool_calls"
    """It calls tools."""
    ContentFilter = "content_filter"
    """A filter left something out."""
    FunctionCall = "function_call"
    """It calls a function (deprecated)."""

    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"
    CONTENT_FILTER = "content_filter"
    FUNCTION_CALL = "function_call"


class ChatCompletionRole(StrEnum):
    """Who speaks in a message."""

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
    """How fast, and at what price, a request is answered; providers know more of them."""

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
    """A web page that a piece of the content relies on."""

    start_index: int
    """Where in the content the citation starts, in characters."""
    end_index: int
    """Where in the content it ends, in characters."""
    url: str
    title: str


class UrlCitationAnnotation(Object, tag_field="type", tag="url_citation"):
    """A citation of a web page."""

    type: ClassVar[Literal["url_citation"]] = "url_citation"
    url_citation: UrlCitation


class UnknownAnnotation(Unknown, tag_field="type", tag=""):
    """An annotation of a type that the specification does not know."""


class ChatCompletionAudio(Object):
    """The answer as speech."""

    id: str
    """What a later message names to refer to this audio."""
    expires_at: int
    """Unix time in seconds until which the id can be used."""
    data: str
    """Base64 of the audio, in the format that the request named."""
    transcript: str


class ChatCompletionResponseMessage(Object):
    """A message that the model wrote."""

    role: ChatCompletionRole
    """`assistant` in every response."""
    content: str | None = None
    refusal: str | None = None
    """Why the model does not answer; null if it does."""
    tool_calls: list[ToolCall] | UnsetType | None = UNSET
    """Absent where there are none; in stored completions OpenAI has null there."""
    annotations: list[UrlCitationAnnotation | UnknownAnnotation] | UnsetType | None = UNSET
    audio: ChatCompletionAudio | UnsetType | None = UNSET
    function_call: FunctionCall | UnsetType | None = UNSET
    """Deprecated for `tool_calls`."""


class Choice(Object):
    """One of the answers; there are as many as the request's `n`."""

    finish_reason: FinishReason
    index: int
    """Its place among the choices, from 0."""
    message: ChatCompletionResponseMessage
    logprobs: ChoiceLogprobs | None = None
    """Null where the request did not ask for them, or the provider has none."""


Choices = Choice
"""The name of `Choice` in the Log10 SDKs."""


class Moderation(Object):
    """What a moderation model makes of the input and the output.

    Each is an object whose `type` is `moderation_results` or `error`.
    """

    input: dict[str, Any]
    output: dict[str, Any]


class CreateChatCompletionResponse(Object):
    """A chat completion: what a model returns on the provided input.

    Members that the specification requires and that may be null are null where they are
    left out of the constructor. Read from JSON without them, they are None too, and `encode`
    leaves them out again.
    """

    id: str
    """The provider's identifier of the chat completion."""
    choices: list[Choice]
    created: int
    """Unix time in seconds at which the chat completion was created."""
    model: str
    """The model that answered, which may be a dated version of the one that was asked."""
    object: ObjectT
    """Always `chat.completion`."""
    usage: CompletionUsage | UnsetType = UNSET
    service_tier: str | UnsetType | None = UNSET
    """The tier that served the request, one of `ServiceTier` or a provider's own."""
    system_fingerprint: str | UnsetType | None = UNSET
    """The configuration that the model ran with; with `seed`, tells when results may differ."""
    metadata: dict[str, str] | UnsetType | None = UNSET
    """At most 16 pairs that the caller gave, keys up to 64 and values up to 512 characters."""
    moderation: Moderation | UnsetType | None = UNSET
