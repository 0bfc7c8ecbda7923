"""Asking the targets of a call until one answers."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import TypeVar

from briggs.gateway.cooling import Cooling
from briggs.gateway.order import Route, arrange
from briggs.gateway.record import Call
from briggs.gateway.timeouts import Policy, begin_in_time, patience_left_s, time_left_s
from briggs.providers.base import Prepared, Provider, Target
from briggs.providers.refusals import find_cause
from briggs.providers.signatures import Signed, restore
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

# uvloop counts whole milliseconds, so that a timer may be done a little before its time.
_TIMERS_EARLY_S = 0.002

MENDS_MAX = 20
"""How many changes of a request are recorded one by one."""

T = TypeVar("T")
Ask = Callable[[Provider, Prepared], Awaitable[T]]
Recall = Callable[[Call, Sequence[str]], Awaitable[Signed]]
"""Finds the messages that vendors signed, by the ids of the calls that they made."""


async def ask_in_order(
    call: Call,
    route: Route,
    *,
    ask: Ask[T],
    is_filtered: Callable[[T], bool],
    recall: Recall | None = None,
) -> T:
    """What the first target says that answers.

    Raises the error of the last one that was asked; of those that were not, since they cannot
    say what is asked, only if none was. `is_filtered` says whether a content filter was all that
    answered, which counts as an answer unless the route falls back on that. `recall` finds what
    vendors signed in earlier turns.
    """
    targets: Sequence[Target] = arrange(route, call.completion)
    # Who is alone is asked, whatever came of it the last time.
    cooling = route.cooling if len(targets) > 1 else None
    if cooling is not None:
        targets = cooling.skip(targets)
    failure: BriggsError | None = None
    filtered: list[tuple[T, str | None]] = []
    for target in targets:
        try:
            answer = await _ask_often(call, target, route.policy, ask, cooling, recall)
        except BriggsError as error:
            if failure is None or isinstance(failure, InvalidRequest) or _was_asked(error):
                failure = error
            if call.completion.caller_left_ms is not None or not _passes_on(
                error, call, route.policy
            ):
                break
            continue
        is_last = target is targets[-1]
        if is_last or "content_filter" not in route.policy.fallback_on or not is_filtered(answer):
            return answer
        call.completion.attempts[-1].reason = "content_filter"
        filtered.append((answer, call.completion.provider))
    if filtered:
        answer, call.completion.provider = filtered[0]
        return answer
    assert failure is not None, "every route has a target, which answers or fails"
    raise failure


def find_pause(error: UpstreamError, *, number: int, policy: Policy) -> float | None:
    """Seconds until a target may be asked again after attempt `number`; None if it may not."""
    told = error.headers.get("x-should-retry")
    if number >= policy.attempts_max or told == "false":
        return None
    if not error.retryable and told != "true":
        return None
    retry_after_s = read_retry_after(error.headers)
    if retry_after_s is None:
        return back_off(number, policy=policy, chance=random.random())  # noqa: S311
    return retry_after_s if retry_after_s <= policy.retry_after_max_s else None


def back_off(number: int, *, policy: Policy, chance: float) -> float:
    """Seconds to wait after attempt `number`: twice as many each time, up to half of it chance.

    Callers who failed together would otherwise come back together.
    """
    # No exponent overflows that is cut off where the longest wait has long been reached.
    longest_s = min(policy.backoff_s * 2.0 ** min(number - 1, 64), policy.backoff_max_s)
    return longest_s * (1 - chance / 2)


def read_retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that an upstream says to wait, as OpenAI's clients read it; None for none."""
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
    """One target's answer, after as many attempts as the policy allows."""
    number = 1
    while True:
        try:
            answer = await _ask_once(call, target, policy, ask, recall)
        except UpstreamError as error:
            if cooling is not None and _is_down(error):
                cooling.fail(target, retry_after_s=read_retry_after(error.headers))
            pause_s = find_pause(error, number=number, policy=policy)
            if call.completion.caller_left_ms is not None:
                # What is under way is read on for the record, and nothing new is begun.
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
            prepared = prepared._replace(connect_timeout_s=policy.connect_timeout_s)
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
    """As much as a record has room for; a history can be long."""
    more = len(mended) - MENDS_MAX
    return [*mended[:MENDS_MAX], *([f"and {more} more"] if more > 0 else [])]


def _read_seconds(value: str) -> float:
    """`120`, or a date (RFC 9110, 10.2.3). Raises `ValueError`."""
    try:
        return float(value)
    except ValueError:
        return parsedate_to_datetime(value).timestamp() - time.time()


def _passes_on(error: BriggsError, call: Call, policy: Policy) -> bool:
    """Whether the next target may do better where this one failed."""
    if time_left_s(call, policy) <= _TIMERS_EARLY_S:
        return False
    cause = find_cause(error)
    if cause is not None:
        return cause in policy.fallback_on
    return _is_down(error) or isinstance(error, InvalidRequest | NotFound | ProviderNotReady)


def _was_asked(error: BriggsError) -> bool:
    """Whether a failure is that of a request, and not of the attempt to write one."""
    return not isinstance(error, InvalidRequest)


def _is_down(error: BriggsError) -> bool:
    """Whether a failure is the target's or ours, and not the request's.

    401 to 404 are about our account there, and an error behind a status of 200 about anything.
    """
    if find_cause(error) is not None or not isinstance(error, UpstreamError):
        return False
    return error.retryable or (
        isinstance(error, UpstreamRejected) and error.upstream_status in (200, 401, 402, 403, 404)
    )
