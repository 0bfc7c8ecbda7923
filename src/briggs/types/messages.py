"""The messages of a conversation, and the parts of their content.

https://platform.openai.com/docs/api-reference/chat/create
"""

from __future__ import annotations

from typing import ClassVar, Literal

from msgspec import UNSET, UnsetType

from briggs.types.json import Object, Unknown
from briggs.types.tools import FunctionCall, ToolCall


class PromptCacheBreakpoint(Object):
    """Marks the end of a prefix of the prompt that should be cached."""

    mode: str
    """Always `explicit`."""
    ttl: str | UnsetType = UNSET
    """How long to keep the prefix: `30m` or `12h`."""


class ChatCompletionRequestMessageContentPartText(Object, tag_field="type", tag="text"):
    """Text."""

    type: ClassVar[Literal["text"]] = "text"
    text: str
    prompt_cache_breakpoint: PromptCacheBreakpoint | UnsetType = UNSET


class ImageUrl(Object):
    """The address of an image, and the level of detail."""

    url: str
    """An http or https URL, or a data: URL with the image itself."""
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
    """Audio."""

    type: ClassVar[Literal["input_audio"]] = "input_audio"
    input_audio: InputAudio
    prompt_cache_breakpoint: PromptCacheBreakpoint | UnsetType = UNSET


class InputFile(Object):
    """A file's content, or the id of an uploaded file."""

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
    """A part of a type that is not in the specification."""


ContentPart = (
    ChatCompletionRequestMessageContentPartText
    | ChatCompletionRequestMessageContentPartImage
    | ChatCompletionRequestMessageContentPartAudio
    | ChatCompletionRequestMessageContentPartFile
    | ChatCompletionRequestMessageContentPartRefusal
    | UnknownContentPart
)
"""A part of a message's content. The provider decides which parts each role may have."""


class ChatCompletionRequestDeveloperMessage(Object, tag_field="role", tag="developer"):
    """Instructions that take precedence over the user's messages."""

    role: ClassVar[Literal["developer"]] = "developer"
    content: str | list[ContentPart]
    name: str | UnsetType = UNSET
    """Distinguishes participants with the same role."""


class ChatCompletionRequestSystemMessage(Object, tag_field="role", tag="system"):
    """The same as a developer's message, for older models."""

    role: ClassVar[Literal["system"]] = "system"
    content: str | list[ContentPart]
    name: str | UnsetType = UNSET
    """Distinguishes participants with the same role."""


class ChatCompletionRequestUserMessage(Object, tag_field="role", tag="user"):
    """A message of the end user."""

    role: ClassVar[Literal["user"]] = "user"
    content: str | list[ContentPart]
    name: str | UnsetType = UNSET
    """Distinguishes participants with the same role."""


class AudioId(Object):
    """The audio of an earlier answer."""

    id: str


class ChatCompletionRequestAssistantMessage(Object, tag_field="role", tag="assistant"):
    """An earlier answer of the model."""

    role: ClassVar[Literal["assistant"]] = "assistant"
    content: str | list[ContentPart] | UnsetType | None = UNSET
    """Required unless the message has tool calls."""
    refusal: str | UnsetType | None = UNSET
    name: str | UnsetType = UNSET
    """Distinguishes participants with the same role."""
    audio: AudioId | UnsetType | None = UNSET
    tool_calls: list[ToolCall] | UnsetType | None = UNSET
    function_call: FunctionCall | UnsetType | None = UNSET
    """Deprecated: use `tool_calls`."""


class ChatCompletionRequestToolMessage(Object, tag_field="role", tag="tool"):
    """The result of a tool call."""

    role: ClassVar[Literal["tool"]] = "tool"
    content: str | list[ContentPart]
    tool_call_id: str
    """The id of the call that it answers."""


class ChatCompletionRequestFunctionMessage(Object, tag_field="role", tag="function"):
    """The result of a function call. Deprecated: use a tool message."""

    role: ClassVar[Literal["function"]] = "function"
    content: str | None
    name: str
    """The name of the function."""


class UnknownMessage(Unknown, tag_field="role", tag=""):
    """A message with a role that is not in the specification."""


ChatCompletionRequestMessage = (
    ChatCompletionRequestDeveloperMessage
    | ChatCompletionRequestSystemMessage
    | ChatCompletionRequestUserMessage
    | ChatCompletionRequestAssistantMessage
    | ChatCompletionRequestToolMessage
    | ChatCompletionRequestFunctionMessage
    | UnknownMessage
)
