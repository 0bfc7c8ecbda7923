"""Messages: what a conversation consists of, and the parts that their content can have.

https://platform.openai.com/docs/api-reference/chat/create
"""

from __future__ import annotations

from typing import ClassVar, Literal

from msgspec import UNSET, UnsetType

from briggs.types.tools import FunctionCall, ToolCall
from briggs.types.wire import Object, Unknown


class PromptCacheBreakpoint(Object):
    """Marks where a prefix of the prompt ends that is worth caching."""

    mode: str
    """Always `explicit`."""
    ttl: str | UnsetType = UNSET
    """How long it is kept: `30m` or `12h`."""


class ChatCompletionRequestMessageContentPartText(Object, tag_field="type", tag="text"):
    """Text."""

    type: ClassVar[Literal["text"]] = "text"
    text: str
    prompt_cache_breakpoint: PromptCacheBreakpoint | UnsetType = UNSET


class ImageUrl(Object):
    """Where an image is, and how closely to look at it."""

    url: str
    """An http or https address, or a data: URL with the image itself."""
    detail: str | UnsetType = UNSET
    """`auto`, `low`, `high` or `original`."""


class ChatCompletionRequestMessageContentPartImage(Object, tag_field="type", tag="image_url"):
    """An image."""

    type: ClassVar[Literal["image_url"]] = "image_url"
    image_url: ImageUrl
    prompt_cache_breakpoint: PromptCacheBreakpoint | UnsetType = UNSET


class InputAudio(Object):
    """Speech or another sound."""

    data: str
    """Base64."""
    format: str
    """`wav` or `mp3`."""


class ChatCompletionRequestMessageContentPartAudio(Object, tag_field="type", tag="input_audio"):
    """A sound."""

    type: ClassVar[Literal["input_audio"]] = "input_audio"
    input_audio: InputAudio
    prompt_cache_breakpoint: PromptCacheBreakpoint | UnsetType = UNSET


class InputFile(Object):
    """A file: itself, or the id of one that was uploaded."""

    filename: str | UnsetType = UNSET
    file_data: str | UnsetType = UNSET
    """Base64."""
    file_id: str | UnsetType = UNSET


class ChatCompletionRequestMessageContentPartFile(Object, tag_field="type", tag="file"):
    """A file."""

    type: ClassVar[Literal["file"]] = "file"
    file: InputFile
    prompt_cache_breakpoint: PromptCacheBreakpoint | UnsetType = UNSET


class ChatCompletionRequestMessageContentPartRefusal(Object, tag_field="type", tag="refusal"):
    """Why the model did not answer."""

    type: ClassVar[Literal["refusal"]] = "refusal"
    refusal: str


class UnknownContentPart(Unknown, tag_field="type", tag=""):
    """A part of a type that the specification does not know."""


ContentPart = (
    ChatCompletionRequestMessageContentPartText
    | ChatCompletionRequestMessageContentPartImage
    | ChatCompletionRequestMessageContentPartAudio
    | ChatCompletionRequestMessageContentPartFile
    | ChatCompletionRequestMessageContentPartRefusal
    | UnknownContentPart
)
"""A part of any message's content. Which role may hold which part, the provider decides."""


class ChatCompletionRequestDeveloperMessage(Object, tag_field="role", tag="developer"):
    """Instructions that the model follows whatever the user says."""

    role: ClassVar[Literal["developer"]] = "developer"
    content: str | list[ContentPart]
    name: str | UnsetType = UNSET
    """Tells participants of one role apart."""


class ChatCompletionRequestSystemMessage(Object, tag_field="role", tag="system"):
    """The same as a developer's message, for older models."""

    role: ClassVar[Literal["system"]] = "system"
    content: str | list[ContentPart]
    name: str | UnsetType = UNSET
    """Tells participants of one role apart."""


class ChatCompletionRequestUserMessage(Object, tag_field="role", tag="user"):
    """What the end user says or shows."""

    role: ClassVar[Literal["user"]] = "user"
    content: str | list[ContentPart]
    name: str | UnsetType = UNSET
    """Tells participants of one role apart."""


class AudioId(Object):
    """The audio of an earlier answer."""

    id: str


class ChatCompletionRequestAssistantMessage(Object, tag_field="role", tag="assistant"):
    """What a model answered before."""

    role: ClassVar[Literal["assistant"]] = "assistant"
    content: str | list[ContentPart] | UnsetType | None = UNSET
    """Required unless it called tools."""
    refusal: str | UnsetType | None = UNSET
    name: str | UnsetType = UNSET
    """Tells participants of one role apart."""
    audio: AudioId | UnsetType | None = UNSET
    tool_calls: list[ToolCall] | UnsetType | None = UNSET
    function_call: FunctionCall | UnsetType | None = UNSET
    """Deprecated for `tool_calls`."""


class ChatCompletionRequestToolMessage(Object, tag_field="role", tag="tool"):
    """What a tool returned."""

    role: ClassVar[Literal["tool"]] = "tool"
    content: str | list[ContentPart]
    tool_call_id: str
    """The id of the call that it answers."""


class ChatCompletionRequestFunctionMessage(Object, tag_field="role", tag="function"):
    """What a function returned (deprecated for the tool's message)."""

    role: ClassVar[Literal["function"]] = "function"
    content: str | None
    name: str
    """The name of the function."""


class UnknownMessage(Unknown, tag_field="role", tag=""):
    """A message of a role that the specification does not know."""


ChatCompletionRequestMessage = (
    ChatCompletionRequestDeveloperMessage
    | ChatCompletionRequestSystemMessage
    | ChatCompletionRequestUserMessage
    | ChatCompletionRequestAssistantMessage
    | ChatCompletionRequestToolMessage
    | ChatCompletionRequestFunctionMessage
    | UnknownMessage
)
