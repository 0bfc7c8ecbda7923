"""What conforms, as types: msgspec checks all of it in the one decode of an answer.

Members that are not named are free. Only what the specification requires is required.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypeVar, get_args

import msgspec
from msgspec import UNSET, Meta, UnsetType

from briggs.types.completions import Fix

T = TypeVar("T")

ServiceTier = Literal["auto", "default", "flex", "scale", "priority", "fast"]
SERVICE_TIERS: tuple[ServiceTier, ...] = get_args(ServiceTier)
FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "function_call"]
FINISH_REASONS: tuple[FinishReason, ...] = get_args(FinishReason)

# An answer's `created` must lie between the first month of the API and tomorrow.
CREATED_MIN = 1_672_531_200
CREATED_AHEAD_S = 86_400


class NotConforming(ValueError):
    """The answer breaks the specification in a way that cannot honestly be mended."""


class Asked(msgspec.Struct, kw_only=True, frozen=True):
    """What of the request an answer is held to."""

    completion_id: str
    """Our id, for an upstream that gives none."""
    model: str
    """The model that was asked, for an upstream that does not name it."""
    choices: int = 1
    logprobs: bool = False
    top_logprobs: int = 0
    names_tool: bool = False
    """Whether `tool_choice` names the one tool that is to be called."""
    include_usage: bool = False


class Facts(msgspec.Struct, kw_only=True):
    """What the record wants to know of an answer."""

    id: str | None = None
    model: str | None = None
    system_fingerprint: str | None = None
    finish_reasons: list[str] = []
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    """Those of them that are kept for an hour, where that is told apart."""
    audio_input_tokens: int | None = None
    reasoning_tokens: int | None = None
    audio_output_tokens: int | None = None
    cost_usd: float | None = None
    """What the provider itself says that the call cost."""
    is_estimated: bool = False
    """Whether some of the counts are estimates of ours, and not the provider's."""
    service_tier: str | None = None


class Conformed(msgspec.Struct):
    """An answer that conforms, what it says, and what of it was mended."""

    body: bytes
    facts: Facts
    fixes: list[Fix] = []
    is_plain: bool = False
    """Whether nothing else can be wrong with it that the answer itself shows."""


def convert(value: Any, type: type[T]) -> T:
    """A JSON value as one of the types below. Raises `NotConforming`."""
    try:
        return msgspec.convert(value, type)
    except msgspec.ValidationError as error:
        raise NotConforming(str(error)) from error
    except UnicodeEncodeError as error:
        # msgspec stumbles over half a surrogate pair where it expects something else than text.
        raise NotConforming("half a character stands where no text belongs") from error


# No answer has as many tokens, so that a larger count is a mistake or worse.
COUNT_MAX = 1_000_000_000
Count = Annotated[int, Meta(ge=0, le=COUNT_MAX)]
NonEmpty = Annotated[str, Meta(min_length=1)]
_INDICES_SHOWN_MAX = 8
# Less than any count, so that parts can be compared whether or not they are there.
ABSENT = -1
Byte = Annotated[int, Meta(ge=0, le=255)]
# Rounding may lift a certain token a little above 0; a probability of 2 is no probability.
LOGPROB_MAX = 0.01
_LogProbability = Annotated[float, Meta(le=LOGPROB_MAX)]


class TopLogprob(msgspec.Struct):
    token: str
    logprob: _LogProbability
    bytes: list[Byte] | None


class TokenLogprob(msgspec.Struct):
    token: str
    logprob: _LogProbability
    bytes: list[Byte] | None
    top_logprobs: list[TopLogprob]


class Logprobs(msgspec.Struct):
    """The `logprobs` of a choice, as they are passed on."""

    content: list[TokenLogprob] | None
    refusal: list[TokenLogprob] | None


class _Function(msgspec.Struct):
    name: str
    arguments: str


class _Custom(msgspec.Struct):
    name: str
    input: str


class _ToolCall(msgspec.Struct):
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
    tool_calls: Annotated[list[_ToolCall], Meta(min_length=1)] | UnsetType = UNSET
    function_call: _Function | UnsetType = UNSET
    annotations: list[Annotation] | UnsetType = UNSET
    audio: _Audio | UnsetType | None = UNSET


class Choice(msgspec.Struct):
    finish_reason: FinishReason
    index: Count
    message: _Message
    logprobs: Logprobs | None
    error: UnsetType | None = UNSET


class Details(msgspec.Struct):
    cached_tokens: Count = ABSENT
    cache_write_tokens: Count = ABSENT
    audio_tokens: Count = ABSENT
    text_tokens: Count = ABSENT
    image_tokens: Count = ABSENT
    reasoning_tokens: Count = ABSENT
    accepted_prediction_tokens: Count = ABSENT
    rejected_prediction_tokens: Count = ABSENT


class Usage(msgspec.Struct):
    """The `CompletionUsage` that is passed on: whole numbers that add up."""

    prompt_tokens: Count
    completion_tokens: Count
    total_tokens: Count
    prompt_tokens_details: Details | UnsetType = UNSET
    completion_tokens_details: Details | UnsetType = UNSET
    # Anthropic's, which only a price asks for. Nobody judges it.
    cache_creation: Any = UNSET


class Response(msgspec.Struct):
    """The `CreateChatCompletionResponse` that is passed on."""

    id: NonEmpty
    object: Literal["chat.completion"]
    created: int
    model: NonEmpty
    choices: list[Choice]
    usage: Usage | UnsetType = UNSET
    system_fingerprint: str | UnsetType | None = UNSET
    service_tier: ServiceTier | UnsetType | None = UNSET
    native_service_tier: Any = UNSET
    error: UnsetType | None = UNSET


def check_response(response: Response, asked: Asked) -> None:
    """The rules that no type can say. Raises `NotConforming`."""
    if not is_plausible(response.created):  # E3
        raise NotConforming(f"'created' is no plausible time in seconds: {response.created}")
    indices = [choice.index for choice in response.choices]
    check_indices(indices, asked=asked.choices)  # C1, C2
    for choice in response.choices:
        calls = choice.message.tool_calls
        if calls is UNSET:
            if choice.finish_reason == "tool_calls":  # C4
                raise NotConforming("a choice ends with 'tool_calls' and has none")
        else:
            reason = choice.finish_reason
            if reason == "function_call" or (reason == "stop" and not asked.names_tool):  # C4
                raise NotConforming(f"a choice with tool calls ends with '{reason}'")
            _check_calls(calls)
        if choice.logprobs is not None:
            check_logprobs(choice.logprobs, asked)
    if response.usage is not UNSET:
        check_usage(response.usage)


def check_logprobs(logprobs: Logprobs, asked: Asked) -> None:
    """L1, L7: none that nobody asked for, nor more alternatives. Raises `NotConforming`."""
    if not asked.logprobs:
        raise NotConforming("there are logprobs that nobody asked for")
    top = asked.top_logprobs
    for tokens in (logprobs.content, logprobs.refusal):
        for token in tokens or ():
            if len(token.top_logprobs) > top:
                raise NotConforming(f"a token has more top_logprobs than the {top} asked for")


def _check_calls(calls: list[_ToolCall]) -> None:
    ids = {call.id for call in calls}
    if len(ids) < len(calls) or "null" in ids:  # M6
        raise NotConforming("two tool calls have one id")
    for call in calls:
        is_function = call.type == "function"
        if (call.function is UNSET) == is_function or (call.custom is UNSET) != is_function:
            raise NotConforming(f"a tool call of type '{call.type}' does not say what it calls")


def is_plausible(created: int) -> bool:
    """E3: whether this is a Unix time in seconds at which an answer can have been made."""
    return CREATED_MIN <= created <= time.time() + CREATED_AHEAD_S


def check_indices(indices: list[int], *, asked: int) -> None:
    """C1, C2: as many choices as were asked for, numbered from 0. Raises `NotConforming`."""
    if len(indices) != asked or sorted(indices) != list(range(asked)):
        raise NotConforming(
            f"{asked} choice(s) were asked for, and those that came are numbered "
            f"{', '.join(map(_show_index, indices[:_INDICES_SHOWN_MAX]))}"
            f"{', ...' if len(indices) > _INDICES_SHOWN_MAX else ''}"
        )


def _show_index(index: int) -> str:
    return str(index) if abs(index) <= COUNT_MAX else "(a number too large)"


def check_usage(usage: Usage) -> None:
    """U2, U3: the total is the sum, and no part exceeds its whole. Raises `NotConforming`."""
    prompt, completion = usage.prompt_tokens, usage.completion_tokens
    if usage.total_tokens != prompt + completion:
        raise NotConforming("'usage.total_tokens' is not the sum of prompt and completion tokens")
    for details, whole in (
        (usage.prompt_tokens_details, prompt),
        (usage.completion_tokens_details, completion),
    ):
        if details is not UNSET and list_excess(details, whole=whole):
            raise NotConforming("'usage' counts more of a part than of the whole")


def list_excess(details: Details, *, whole: int) -> Sequence[str]:
    """U3: the parts that are more than their whole, or do not add up to it.

    The tokens that were written to a cache are counted by themselves.
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


PARTS = tuple(Details.__struct_fields__)


def read_facts(response: Response) -> Facts:
    """What the record wants to know of a response."""
    tier = response.service_tier
    if not isinstance(tier, str):
        tier = response.native_service_tier
    facts = Facts(
        id=response.id,
        model=response.model,
        system_fingerprint=response.system_fingerprint or None,
        service_tier=tier if isinstance(tier, str) else None,
        finish_reasons=[choice.finish_reason for choice in response.choices],
    )
    if response.usage is not UNSET:
        read_usage(response.usage, into=facts)
    return facts


def read_usage(usage: Usage, *, into: Facts) -> None:
    """Copy the counts of a usage object."""
    into.prompt_tokens = usage.prompt_tokens
    into.completion_tokens = usage.completion_tokens
    into.total_tokens = usage.total_tokens
    read, written = usage.prompt_tokens_details, usage.completion_tokens_details
    if read is not UNSET:
        into.cached_tokens = _count(read.cached_tokens)
        into.cache_write_tokens = _count(read.cache_write_tokens)
        into.audio_input_tokens = _count(read.audio_tokens)
    if isinstance(usage.cache_creation, dict):
        hour = usage.cache_creation.get("ephemeral_1h_input_tokens")
        is_count = type(hour) is int and 0 <= hour <= COUNT_MAX
        into.cache_write_1h_tokens = hour if is_count else None
    if written is not UNSET:
        into.reasoning_tokens = _count(written.reasoning_tokens)
        into.audio_output_tokens = _count(written.audio_tokens)


def _count(given: int) -> int | None:
    return None if given == ABSENT else given
