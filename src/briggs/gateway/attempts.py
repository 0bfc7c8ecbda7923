"""Tries the targets of a call in order until one answers."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import TypeVar

import msgspec

from briggs.gateway.cooling import Cooling
from briggs.gateway.order import Targets, arrange
from briggs.gateway.timeouts import Policy, begin_in_time, patience_left_s, time_left_s
from briggs.providers.base import Provider, Target
from briggs.record.record import Call, Record
from briggs.types.completions import Attempt
from briggs.types.errors import (
    BriggsError,
    HangUp,
    InvalidRequest,
    NotFound,
    ProviderNotReady,
    UpstreamError,
    UpstreamRejected,
)
from briggs.wires.base import Prepared
from briggs.wires.refusals import find_cause
from briggs.wires.signatures import Signed, restore

# uvloop counts whole milliseconds, so a timer may fire slightly early.
_TIMERS_EARLY_S = 0.002

MENDS_MAX = 20
"""The record lists this many changes to a request, and only counts the rest."""

T = TypeVar("T")
Ask = Callable[[Provider, Prepared], Awaitable[T]]
Recall = Callable[[Call, Sequence[str]], Awaitable[Signed]]
"""Finds messages that vendors signed, by the ids of the tool calls in them."""


async def ask_on_record(
    call: Call,
    targets: Targets,
    *,
    record: Record,
    ask: Ask[T],
    is_filtered: Callable[[T], bool],
) -> T:
    """Return a whole answer, as `ask_in_order` does, and record the start and any failure."""
    await record.start(call)
    try:
        return await ask_in_order(
            call, targets, ask=ask, is_filtered=is_filtered, recall=record.recall
        )
    except asyncio.CancelledError:
        await record.fail(call, HangUp())
        raise
    except BriggsError as error:
        await record.fail(call, error)
        raise


async def ask_in_order(
    call: Call,
    targets: Targets,
    *,
    ask: Ask[T],
    is_filtered: Callable[[T], bool],
    recall: Recall | None = None,
) -> T:
    """Return the answer of the first target that answers.

    If none answers, raises the error of the last target that received the request. The error of
    a target that cannot express the request is raised only if no target received it.

    `is_filtered` tells whether a content filter blocked an answer. Such an answer is returned,
    unless the policy falls back on `content_filter` and another target is left. `recall` finds
    what vendors signed in earlier turns.
    """
    ordered: Sequence[Target] = arrange(targets, call.completion)
    # A single target is always tried, even if it failed last time.
    cooling = targets.cooling if len(ordered) > 1 else None
    if cooling is not None:
        ordered = cooling.skip(ordered)
    failure: BriggsError | None = None
    filtered: list[tuple[T, str | None]] = []
    for target in ordered:
        try:
            answer = await _ask_often(call, target, targets.policy, ask, cooling, recall)
        except BriggsError as error:
            if failure is None or isinstance(failure, InvalidRequest) or _was_asked(error):
                failure = error
            if call.completion.caller_left_ms is not None or not _passes_on(
                error, call, targets.policy
            ):
                break
            continue
        is_last = target is ordered[-1]
        if is_last or "content_filter" not in targets.policy.fallback_on or not is_filtered(answer):
            return answer
        call.completion.attempts[-1].reason = "content_filter"
        filtered.append((answer, call.completion.provider))
    if filtered:
        answer, call.completion.provider = filtered[0]
        return answer
    assert failure is not None, "every model has a target, which answers or fails"
    raise failure


def find_pause(error: UpstreamError, *, number: int, policy: Policy) -> float | None:
    """Seconds to wait before trying a target again after attempt `number`; None to give up."""
    should_retry = error.headers.get("x-should-retry")
    if number >= policy.attempts_max or should_retry == "false":
        return None
    if not error.retryable and should_retry != "true":
        return None
    retry_after_s = read_retry_after(error.headers)
    if retry_after_s is None:
        return back_off(number, policy=policy, chance=random.random())  # noqa: S311
    return retry_after_s if retry_after_s <= policy.retry_after_max_s else None


def back_off(number: int, *, policy: Policy, chance: float) -> float:
    """Seconds to wait after attempt `number`.

    The wait doubles with each attempt, and `chance` (0 to 1) shortens it by up to half.
    Otherwise callers who failed together would retry together.
    """
    # The cap on the exponent prevents an overflow. The longest wait is reached long before it.
    longest_s = min(policy.backoff_s * 2.0 ** min(number - 1, 64), policy.backoff_max_s)
    return longest_s * (1 - chance / 2)


def read_retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that an upstream asks us to wait, read as OpenAI's clients do; None if not given."""
    try:
        if value := headers.get("retry-after-ms"):
            seconds = float(value) / 1000
        elif value := headers.get("retry-after"):
            seconds = _read_seconds(value)
        else:
            return None
    except (ValueError, OverflowError):
        return None
    return None if math.isnan(seconds) else max(seconds, 0.0)


async def _ask_often(
    call: Call,
    target: Target,
    policy: Policy,
    ask: Ask[T],
    cooling: Cooling | None,
    recall: Recall | None,
) -> T:
    """Return one target's answer, within as many attempts as the policy allows."""
    number = 1
    while True:
        try:
            answer = await _ask_once(call, target, policy, ask, recall)
        except UpstreamError as error:
            if cooling is not None and _is_down(error):
                cooling.fail(target, retry_after_s=read_retry_after(error.headers))
            pause_s = find_pause(error, number=number, policy=policy)
            if call.completion.caller_left_ms is not None:
                # A running attempt continues without its caller, but no new attempt starts.
                raise
            if pause_s is None or pause_s >= patience_left_s(call, policy):
                raise
            await asyncio.sleep(pause_s)
            number += 1
        else:
            if cooling is not None:
                cooling.succeed(target)
            return answer


async def _ask_once(
    call: Call, target: Target, policy: Policy, ask: Ask[T], recall: Recall | None
) -> T:
    completion, provider = call.completion, target.provider
    completion.provider = provider.name
    attempt = Attempt(target=f"{provider.name}/{target.model}", duration_ms=0)
    completion.attempts.append(attempt)
    began = time.perf_counter()
    try:
        prepared = provider.prepare(call.envelope, model=target.model)
        if prepared.unsigned and recall is not None:
            restored = restore(call.envelope, await recall(call, prepared.unsigned))
            if restored is not call.envelope:
                prepared = provider.prepare(restored, model=target.model)
        completion.dropped = list(prepared.dropped)
        if prepared.mended:
            attempt.mended = _limit(prepared.mended)
        if policy.connect_timeout_s is not None:
            prepared = msgspec.structs.replace(prepared, connect_timeout_s=policy.connect_timeout_s)
        answer = await begin_in_time(ask(provider, prepared), call=call, policy=policy)
        attempt.status = 200
        return answer
    except BriggsError as error:
        attempt.reason = error.kind
        if isinstance(error, UpstreamRejected):
            attempt.status = error.upstream_status
        raise
    except asyncio.CancelledError:
        attempt.reason = HangUp.code
        raise
    finally:
        attempt.duration_ms = (time.perf_counter() - began) * 1000


def _limit(mended: Sequence[str]) -> list[str]:
    """Keep the first changes and count the rest: a long history may need many."""
    more = len(mended) - MENDS_MAX
    return [*mended[:MENDS_MAX], *([f"and {more} more"] if more > 0 else [])]


def _read_seconds(value: str) -> float:
    """Read `120`, or a date (RFC 9110, 10.2.3). Raises `ValueError`."""
    try:
        return float(value)
    except ValueError:
        return parsedate_to_datetime(value).timestamp() - time.time()


def _passes_on(error: BriggsError, call: Call, policy: Policy) -> bool:
    """Whether the next target is tried after this error."""
    if time_left_s(call, policy) <= _TIMERS_EARLY_S:
        return False
    cause = find_cause(error)
    if cause is not None:
        return cause in policy.fallback_on
    return _is_down(error) or isinstance(error, InvalidRequest | NotFound | ProviderNotReady)


def _was_asked(error: BriggsError) -> bool:
    """Whether the target received a request, as opposed to one that could not be written."""
    return not isinstance(error, InvalidRequest)


def _is_down(error: BriggsError) -> bool:
    """Whether the target or our account is at fault, and not the request.

    Statuses 401 to 404 are about our account. An error in an answer with status 200 can be about
    anything.
    """
    if find_cause(error) is not None or not isinstance(error, UpstreamError):
        return False
    return error.retryable or (
        isinstance(error, UpstreamRejected) and error.upstream_status in (200, 401, 402, 403, 404)
    )
