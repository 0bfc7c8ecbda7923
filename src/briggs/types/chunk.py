"""The chunk: one piece of a streamed chat completion.

https://platform.openai.com/docs/api-reference/chat/streaming
"""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, UnsetType

from briggs.types.json import Object
from briggs.types.logprobs import ChoiceLogprobs
from briggs.types.response import ChatCompletionRole, FinishReason, Moderation
from briggs.types.tools import ChatCompletionMessageToolCallChunk, FunctionCallChunk
from briggs.types.usage import CompletionUsage


class ChatCompletionAudioDelta(Object):
    """A piece of the answer as speech."""

    id: str | UnsetType = UNSET
    data: str | UnsetType = UNSET
    """Base64 of the next piece of the audio."""
    transcript: str | UnsetType = UNSET
    """The next piece of the transcript."""
    expires_at: int | UnsetType = UNSET
    """Unix time in seconds. The id can be used until then."""


class ChatCompletionStreamResponseDelta(Object):
    """What a chunk adds to its choice's message."""

    role: ChatCompletionRole | UnsetType | None = UNSET
    """Present only in the first chunk of a choice."""
    content: str | UnsetType | None = UNSET
    refusal: str | UnsetType | None = UNSET
    tool_calls: list[ChatCompletionMessageToolCallChunk] | UnsetType | None = UNSET
    function_call: FunctionCallChunk | UnsetType | None = UNSET
    """Deprecated: use `tool_calls`."""
    audio: ChatCompletionAudioDelta | UnsetType | None = UNSET


class StreamChoice(Object):
    """A chunk's part of one choice."""

    delta: ChatCompletionStreamResponseDelta
    index: int
    finish_reason: FinishReason | UnsetType | None = UNSET
    """Null until the choice's last chunk."""
    logprobs: ChoiceLogprobs | UnsetType | None = UNSET
    """The log probabilities of this chunk's tokens."""


class CreateChatCompletionStreamResponse(Object):
    """One chunk of a streamed chat completion."""

    choices: list[StreamChoice]
    """Empty in the chunk with the usage."""
    created: int
    """Unix time in seconds, the same in every chunk."""
    id: str
    """The same in every chunk."""
    model: str
    object: Literal["chat.completion.chunk"]
    usage: CompletionUsage | UnsetType | None = UNSET
    """The usage of the whole stream: in the last chunk, if `include_usage` is true."""
    service_tier: str | UnsetType | None = UNSET
    system_fingerprint: str | UnsetType | None = UNSET
    obfuscation: str | UnsetType = UNSET
    """Random padding, so that the lengths of the chunks do not reveal the text."""
    moderation: Moderation | UnsetType | None = UNSET
