"""The chunk: one piece of a chat completion that is streamed.

https://platform.openai.com/docs/api-reference/chat/streaming
"""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, UnsetType

from briggs.types.logprobs import ChoiceLogprobs
from briggs.types.response import ChatCompletionRole, FinishReason, Moderation
from briggs.types.tools import ChatCompletionMessageToolCallChunk, FunctionCallChunk
from briggs.types.usage import CompletionUsage
from briggs.types.wire import Object


class ChatCompletionAudioDelta(Object):
    """A piece of the answer as speech."""

    id: str | UnsetType = UNSET
    data: str | UnsetType = UNSET
    """Base64 of the next piece of the audio."""
    transcript: str | UnsetType = UNSET
    """The next piece of the transcript."""
    expires_at: int | UnsetType = UNSET
    """Unix time in seconds until which the id can be used."""


class ChatCompletionStreamResponseDelta(Object):
    """What a chunk adds to its choice's message."""

    role: ChatCompletionRole | UnsetType | None = UNSET
    """In the first chunk of a choice only."""
    content: str | UnsetType | None = UNSET
    refusal: str | UnsetType | None = UNSET
    tool_calls: list[ChatCompletionMessageToolCallChunk] | UnsetType | None = UNSET
    function_call: FunctionCallChunk | UnsetType | None = UNSET
    """Deprecated for `tool_calls`."""
    audio: ChatCompletionAudioDelta | UnsetType | None = UNSET


class StreamChoice(Object):
    """What a chunk says of one choice."""

    delta: ChatCompletionStreamResponseDelta
    index: int
    finish_reason: FinishReason | UnsetType | None = UNSET
    """Null until the choice's last chunk."""
    logprobs: ChoiceLogprobs | UnsetType | None = UNSET
    """Those of this chunk's tokens."""


class CreateChatCompletionStreamResponse(Object):
    """One chunk of a streamed chat completion."""

    choices: list[StreamChoice]
    """Empty in the chunk that brings the usage."""
    created: int
    """Unix time in seconds, the same in every chunk."""
    id: str
    """The same in every chunk."""
    model: str
    object: Literal["chat.completion.chunk"]
    usage: CompletionUsage | UnsetType | None = UNSET
    """Of the whole stream, in its last chunk, if `stream_options.include_usage` asked for it."""
    service_tier: str | UnsetType | None = UNSET
    system_fingerprint: str | UnsetType | None = UNSET
    obfuscation: str | UnsetType = UNSET
    """Random padding against those who guess the text from the lengths of the chunks."""
    moderation: Moderation | UnsetType | None = UNSET
