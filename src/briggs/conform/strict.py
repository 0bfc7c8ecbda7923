"""The specification as types, so that msgspec checks an answer in one decode.

Other members may have any value. Only members that the specification requires are required.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypeVar, get_args

import msgspec
from msgspec import UNSET, Meta, UnsetType

from briggs.types.completions import Fix
from briggs.types.probabilities import read_certainty
from briggs.types.usage import COUNT_MAX, PARTS
from briggs.wires.words.counts import LIFETIMES, read_hour

T = TypeVar("T")

ServiceTier = Literal["auto", "default", "flex", "scale", "priority", "fast"]
SERVICE_TIERS: tuple[ServiceTier, ...] = get_args(ServiceTier)
FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "function_call"]
FINISH_REASONS: tuple[FinishReason, ...] = get_args(FinishReason)

# An answer's `created` must lie between the first month of the API and tomorrow.
CREATED_MIN = 1_672_531_200
CREATED_AHEAD_S = 86_400


class NotConforming(ValueError):
    """The answer breaks the specification, and cannot be mended without inventing content."""


class Asked(msgspec.Struct, kw_only=True, frozen=True):
    """The parts of the request that an answer is checked against."""

    completion_id: str
    """Briggs's id, if the upstream gives none."""
    model: str
    """The requested model, if the upstream does not name it."""
    choices: int = 1
    logprobs: bool = False
    top_logprobs: int = 0
    names_tool: bool = False
    """Whether `tool_choice` names the one tool to call."""
    include_usage: bool = False


class Facts(msgspec.Struct, kw_only=True):
    """What the record keeps about an answer."""

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
    """The cache-write tokens that are kept for an hour, if the provider counts them separately."""
    audio_input_tokens: int | None = None
    reasoning_tokens: int | None = None
    audio_output_tokens: int | None = None
    cost_usd: float | None = None
    """The cost that the provider reports."""
    is_estimated: bool = False
    """Whether Briggs estimated some of the counts."""
    service_tier: str | None = None
    p_mean: float | None = None
    """The geometric mean of the probabilities of all tokens of all choices."""
    p_least: float | None = None


class Conformed(msgspec.Struct):
    """A conforming answer, its facts, and the fixes that it needed."""

    body: bytes
    facts: Facts
    fixes: list[Fix] = []
    is_plain: bool = False
    """Whether the quick check cleared it of every rule that the answer alone can break."""


def convert(value: Any, type: type[T]) -> T:
    """Convert a JSON value to one of the types below. Raises `NotConforming`."""
    try:
        return msgspec.convert(value, type)
    except msgspec.ValidationError as error:
        raise NotConforming(str(error)) from error
    except UnicodeEncodeError as error:
        # msgspec raises this for a lone surrogate where it does not expect text.
        raise NotConforming("a lone surrogate is in a value that must not be text") from error


Count = Annotated[int, Meta(ge=0, le=COUNT_MAX)]
NonEmpty = Annotated[str, Meta(min_length=1)]
_INDICES_SHOWN_MAX = 8
# Less than any count, so that absent parts can be compared like others.
ABSENT = -1
Byte = Annotated[int, Meta(ge=0, le=255)]
# Rounding may raise the logprob of a certain token a little above 0.
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
    """The `logprobs` of a choice that may be passed on."""

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
    """A `CompletionUsage` that may be passed on: whole numbers that add up."""

    prompt_tokens: Count
    completion_tokens: Count
    total_tokens: Count
    prompt_tokens_details: Details | UnsetType = UNSET
    completion_tokens_details: Details | UnsetType = UNSET
    # It is used only for the price, and is not checked.
    lifetimes: Any = msgspec.field(default=UNSET, name=LIFETIMES)


class KnownDetails(Details, forbid_unknown_fields=True):
    """Details that count nothing in other words than the specification's."""


class KnownUsage(Usage, forbid_unknown_fields=True):
    """A usage that says nothing in other words than the specification's."""

    prompt_tokens_details: KnownDetails | UnsetType = UNSET
    completion_tokens_details: KnownDetails | UnsetType = UNSET


class Response(msgspec.Struct):
    """A `CreateChatCompletionResponse` that may be passed on."""

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
    """Check the rules that types cannot express. Raises `NotConforming`."""
    if not is_plausible(response.created):  # E3
        raise NotConforming(f"'created' is not a plausible time in seconds: {response.created}")
    indices = [choice.index for choice in response.choices]
    check_indices(indices, asked=asked.choices)  # C1, C2
    for choice in response.choices:
        calls = choice.message.tool_calls
        if calls is UNSET:
            if choice.finish_reason == "tool_calls":  # C4
                raise NotConforming("a choice has the finish_reason 'tool_calls' but no tool calls")
        else:
            reason = choice.finish_reason
            if reason == "function_call" or (reason == "stop" and not asked.names_tool):  # C4
                raise NotConforming(f"a choice with tool calls has the finish_reason '{reason}'")
            _check_calls(calls)
        if choice.logprobs is not None:
            check_logprobs(choice.logprobs, asked)
    if response.usage is not UNSET:
        check_usage(response.usage)


def check_logprobs(logprobs: Logprobs, asked: Asked) -> None:
    """L1, L7: no logprobs, and no more alternatives, than requested. Raises `NotConforming`."""
    if not asked.logprobs:
        raise NotConforming("it has logprobs that were not requested")
    top = asked.top_logprobs
    for tokens in (logprobs.content, logprobs.refusal):
        for token in tokens or ():
            if len(token.top_logprobs) > top:
                raise NotConforming(f"a token has more top_logprobs than the {top} requested")


def _check_calls(calls: list[_ToolCall]) -> None:
    ids = {call.id for call in calls}
    if len(ids) < len(calls) or "null" in ids:  # M6
        raise NotConforming("two tool calls have the same id, or one has the id 'null'")
    for call in calls:
        is_function = call.type == "function"
        if (call.function is UNSET) == is_function or (call.custom is UNSET) != is_function:
            raise NotConforming(f"a tool call of type '{call.type}' needs exactly '{call.type}'")


def is_plausible(created: int) -> bool:
    """E3: whether this is a plausible Unix time in seconds for an answer."""
    return CREATED_MIN <= created <= time.time() + CREATED_AHEAD_S


def check_indices(indices: list[int], *, asked: int) -> None:
    """C1, C2: as many choices as requested, numbered from 0. Raises `NotConforming`."""
    if len(indices) != asked or sorted(indices) != list(range(asked)):
        raise NotConforming(
            f"{asked} choice(s) were requested, but the indices that came are "
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
            raise NotConforming("'usage' counts more tokens of a part than in total")


def list_excess(details: Details, *, whole: int) -> Sequence[str]:
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


def read_facts(response: Response) -> Facts:
    """What the record keeps about a response."""
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
    logprobs = [
        token.logprob
        for choice in response.choices
        if choice.logprobs is not None
        for token in choice.logprobs.content or choice.logprobs.refusal or ()
    ]
    if logprobs:
        facts.p_mean, facts.p_least = read_certainty(logprobs)
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
    if usage.lifetimes is not UNSET:
        into.cache_write_1h_tokens = read_hour(usage.lifetimes)
    if written is not UNSET:
        into.reasoning_tokens = _count(written.reasoning_tokens)
        into.audio_output_tokens = _count(written.audio_tokens)


def _count(given: int) -> int | None:
    return None if given == ABSENT else given
