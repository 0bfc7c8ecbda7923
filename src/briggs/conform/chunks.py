"""Chunks as types: the plain chunk, which passes at once, and any other."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from briggs.rules.specification import Annotation, FinishReasonWord, ServiceTierWord, StrictLogprobs
from briggs.wires.words.places import GROQ

# Nearly every chunk has this shape, and then it may pass unchanged: one more piece of text, with or
# without logprobs, in a choice that has begun and does not end here. Every member that would mean
# more must be absent, or null if null means the same.
_ABSENT = Literal["\0 only absence will do"]


class _PlainDelta(msgspec.Struct):
    content: str
    role: _ABSENT | UnsetType = UNSET
    refusal: UnsetType | None = UNSET
    tool_calls: _ABSENT | UnsetType = UNSET
    function_call: _ABSENT | UnsetType = UNSET
    annotations: _ABSENT | UnsetType = UNSET
    audio: _ABSENT | UnsetType = UNSET
    text: _ABSENT | UnsetType | None = UNSET


class _PlainChoice(msgspec.Struct):
    index: int
    delta: _PlainDelta
    finish_reason: None = None
    logprobs: StrictLogprobs | UnsetType | None = UNSET
    error: UnsetType | None = UNSET
    usage: UnsetType | None = UNSET
    # Text outside the delta's content needs the full check.
    text: _ABSENT | UnsetType | None = UNSET
    output: _ABSENT | UnsetType | None = UNSET
    response: _ABSENT | UnsetType | None = UNSET


class PlainChunk(msgspec.Struct):
    id: str
    object: Literal["chat.completion.chunk"]
    created: int
    model: str
    choices: Annotated[list[_PlainChoice], Meta(min_length=1)]
    system_fingerprint: str | None = None
    service_tier: ServiceTierWord | UnsetType | None = UNSET
    usage: UnsetType | None = UNSET
    error: UnsetType | None = UNSET
    groq: UnsetType | None = msgspec.field(default=UNSET, name=GROQ)


class _DeltaFunction(msgspec.Struct):
    name: str | UnsetType = UNSET
    arguments: str | UnsetType = UNSET


class _DeltaCustom(msgspec.Struct):
    name: str | UnsetType = UNSET
    input: str | UnsetType = UNSET


class _DeltaCall(msgspec.Struct):
    index: int
    id: str | UnsetType = UNSET
    type: Literal["function", "custom"] | UnsetType = UNSET
    function: _DeltaFunction | UnsetType = UNSET
    custom: _DeltaCustom | UnsetType = UNSET


class _DeltaAudio(msgspec.Struct):
    id: str | UnsetType = UNSET
    data: str | UnsetType = UNSET
    transcript: str | UnsetType = UNSET
    expires_at: int | UnsetType = UNSET


class _Delta(msgspec.Struct):
    role: Literal["assistant"] | UnsetType = UNSET
    content: str | UnsetType | None = UNSET
    refusal: str | UnsetType | None = UNSET
    tool_calls: list[_DeltaCall] | UnsetType = UNSET
    function_call: _DeltaFunction | UnsetType = UNSET
    annotations: list[Annotation] | UnsetType = UNSET
    audio: _DeltaAudio | UnsetType | None = UNSET


class _StrictChunkChoice(msgspec.Struct):
    index: Annotated[int, Meta(ge=0)]
    delta: _Delta
    finish_reason: FinishReasonWord | UnsetType | None = UNSET
    logprobs: StrictLogprobs | UnsetType | None = UNSET


class StrictChunk(msgspec.Struct):
    """A `CreateChatCompletionStreamResponse` that may be passed on."""

    id: str
    created: int
    model: str
    choices: list[_StrictChunkChoice]
    system_fingerprint: str | UnsetType | None = UNSET
    service_tier: ServiceTierWord | UnsetType | None = UNSET
