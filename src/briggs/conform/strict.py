"""The checks that an answer must pass to go on, and the facts that the record keeps of it."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from msgspec import UNSET

from briggs.rules.specification import (
    ABSENT,
    StrictLogprobs,
    StrictResponse,
    StrictToolCall,
    StrictUsage,
    is_plausible,
    list_excess,
)
from briggs.types.completions import Fix
from briggs.types.probabilities import read_certainty
from briggs.types.usage import COUNT_MAX
from briggs.wires.words.usage import read_hour

T = TypeVar("T")

_INDICES_SHOWN_MAX = 8


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
    """Convert a JSON value to a type of the specification. Raises `NotConforming`."""
    try:
        return msgspec.convert(value, type)
    except msgspec.ValidationError as error:
        raise NotConforming(str(error)) from error
    except UnicodeEncodeError as error:
        # msgspec raises this for a lone surrogate where it does not expect text.
        raise NotConforming("a lone surrogate is in a value that must not be text") from error


def check_response(response: StrictResponse, asked: Asked) -> None:
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


def check_logprobs(logprobs: StrictLogprobs, asked: Asked) -> None:
    """L1, L7: no logprobs, and no more alternatives, than requested. Raises `NotConforming`."""
    if not asked.logprobs:
        raise NotConforming("it has logprobs that were not requested")
    top = asked.top_logprobs
    for tokens in (logprobs.content, logprobs.refusal):
        for token in tokens or ():
            if len(token.top_logprobs) > top:
                raise NotConforming(f"a token has more top_logprobs than the {top} requested")


def _check_calls(calls: list[StrictToolCall]) -> None:
    ids = {call.id for call in calls}
    if len(ids) < len(calls) or "null" in ids:  # M6
        raise NotConforming("two tool calls have the same id, or one has the id 'null'")
    for call in calls:
        is_function = call.type == "function"
        if (call.function is UNSET) == is_function or (call.custom is UNSET) != is_function:
            raise NotConforming(f"a tool call of type '{call.type}' needs exactly '{call.type}'")


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


def check_usage(usage: StrictUsage) -> None:
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


def read_facts(response: StrictResponse) -> Facts:
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


def read_usage(usage: StrictUsage, *, into: Facts) -> None:
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
