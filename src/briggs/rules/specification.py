"""The specification as types, so that msgspec checks an answer in one decode.

Other members may have any value. Only members that the specification requires are required.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Annotated, Any, Literal, get_args

import msgspec
from msgspec import UNSET, Meta, UnsetType

from briggs.types.usage import COUNT_MAX, PARTS
from briggs.wires.words.usage import LIFETIMES

ServiceTierWord = Literal["auto", "default", "flex", "scale", "priority", "fast"]
SERVICE_TIERS: tuple[ServiceTierWord, ...] = get_args(ServiceTierWord)
FinishReasonWord = Literal["stop", "length", "tool_calls", "content_filter", "function_call"]
FINISH_REASONS: tuple[FinishReasonWord, ...] = get_args(FinishReasonWord)

# An answer's `created` must lie between the first month of the API and tomorrow.
CREATED_MIN = 1_672_531_200
CREATED_AHEAD_S = 86_400


TokenCount = Annotated[int, Meta(ge=0, le=COUNT_MAX)]
NonEmpty = Annotated[str, Meta(min_length=1)]
# Less than any count, so that absent parts can be compared like others.
ABSENT = -1
Byte = Annotated[int, Meta(ge=0, le=255)]
# Rounding may raise the logprob of a certain token a little above 0.
LOGPROB_MAX = 0.01
_LogProbability = Annotated[float, Meta(le=LOGPROB_MAX)]


class TopLogprob(msgspec.Struct, gc=False):
    token: str
    logprob: _LogProbability
    bytes: list[Byte] | None


class TokenLogprob(msgspec.Struct, gc=False):
    token: str
    logprob: _LogProbability
    bytes: list[Byte] | None
    top_logprobs: list[TopLogprob]


class StrictLogprobs(msgspec.Struct):
    """The `logprobs` of a choice that may be passed on."""

    content: list[TokenLogprob] | None
    refusal: list[TokenLogprob] | None


class _Function(msgspec.Struct):
    name: str
    arguments: str


class _Custom(msgspec.Struct):
    name: str
    input: str


class StrictToolCall(msgspec.Struct):
    id: NonEmpty
    type: Literal["function", "custom"]
    function: _Function | UnsetType = UNSET
    custom: _Custom | UnsetType = UNSET


class _UrlCitation(msgspec.Struct):
    start_index: int
    end_index: int
    url: str
    title: str


class Annotation(msgspec.Struct):
    type: Literal["url_citation"]
    url_citation: _UrlCitation


class _Audio(msgspec.Struct):
    id: str
    expires_at: int
    data: str
    transcript: str


class _Message(msgspec.Struct):
    role: Literal["assistant"]
    content: str | None
    refusal: str | None
    tool_calls: Annotated[list[StrictToolCall], Meta(min_length=1)] | UnsetType = UNSET
    function_call: _Function | UnsetType = UNSET
    annotations: list[Annotation] | UnsetType = UNSET
    audio: _Audio | UnsetType | None = UNSET


class StrictChoice(msgspec.Struct):
    finish_reason: FinishReasonWord
    index: TokenCount
    message: _Message
    logprobs: StrictLogprobs | None
    error: UnsetType | None = UNSET


class StrictDetails(msgspec.Struct):
    cached_tokens: TokenCount = ABSENT
    cache_write_tokens: TokenCount = ABSENT
    audio_tokens: TokenCount = ABSENT
    text_tokens: TokenCount = ABSENT
    image_tokens: TokenCount = ABSENT
    reasoning_tokens: TokenCount = ABSENT
    accepted_prediction_tokens: TokenCount = ABSENT
    rejected_prediction_tokens: TokenCount = ABSENT


class StrictUsage(msgspec.Struct):
    """A `CompletionUsage` that may be passed on: whole numbers that add up."""

    prompt_tokens: TokenCount
    completion_tokens: TokenCount
    total_tokens: TokenCount
    prompt_tokens_details: StrictDetails | UnsetType = UNSET
    completion_tokens_details: StrictDetails | UnsetType = UNSET
    # It is used only for the price, and is not checked.
    lifetimes: Any = msgspec.field(default=UNSET, name=LIFETIMES)


class KnownDetails(StrictDetails, forbid_unknown_fields=True):
    """Details that count nothing in other words than the specification's."""


class KnownStrictUsage(StrictUsage, forbid_unknown_fields=True):
    """A usage that says nothing in other words than the specification's."""

    prompt_tokens_details: KnownDetails | UnsetType = UNSET
    completion_tokens_details: KnownDetails | UnsetType = UNSET


class StrictResponse(msgspec.Struct):
    """A `CreateChatCompletionResponse` that may be passed on."""

    id: NonEmpty
    object: Literal["chat.completion"]
    created: int
    model: NonEmpty
    choices: list[StrictChoice]
    usage: StrictUsage | UnsetType = UNSET
    system_fingerprint: str | UnsetType | None = UNSET
    service_tier: ServiceTierWord | UnsetType | None = UNSET
    native_service_tier: Any = UNSET
    error: UnsetType | None = UNSET


def is_plausible(created: int) -> bool:
    """E3: whether this is a plausible Unix time in seconds for an answer."""
    return CREATED_MIN <= created <= time.time() + CREATED_AHEAD_S


def is_call_id(id: Any) -> bool:
    """M6: whether this is an id that can identify a call."""
    return isinstance(id, str) and id not in ("", "null")


def list_excess(details: StrictDetails, *, whole: int) -> Sequence[str]:
    """U3: the parts that are larger than the whole, or do not add up to it.

    Cache-write tokens are not checked, because they may be counted separately.
    """
    text, image, audio = details.text_tokens, details.image_tokens, details.audio_tokens
    if text > ABSENT and image > ABSENT and audio > ABSENT and text + image + audio != whole:
        return ("text_tokens", "image_tokens", "audio_tokens")
    if (
        text <= whole
        and image <= whole
        and audio <= whole
        and details.cached_tokens <= whole
        and details.reasoning_tokens <= whole
        and details.accepted_prediction_tokens <= whole
        and details.rejected_prediction_tokens <= whole
    ):
        return ()
    counted = (name for name in PARTS if name != "cache_write_tokens")
    return [name for name in counted if getattr(details, name) > whole]
