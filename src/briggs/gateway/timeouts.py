"""How long a call waits: for a connection, the first token, the next piece, and in total."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Sequence
from typing import NamedTuple, TypeVar

import msgspec

from briggs.providers.base import Stream, Take
from briggs.record.record import Call
from briggs.settings import FileSettings, LimitSettings, ModelSettings
from briggs.types.errors import UpstreamTimeout

T = TypeVar("T")
_NOTHING = ModelSettings(targets=[])


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """How often the targets of a model are tried, and how long we wait for each.

    A timeout of None is left to the transport, which needs no timer for it.
    """

    attempts_max: int = 1
    backoff_s: float = 0.5
    backoff_max_s: float = 8
    retry_after_max_s: float = 10
    connect_timeout_s: float | None = None
    first_token_timeout_s: float | None = None
    piece_timeout_s: float | None = None
    call_timeout_s: float | None = None
    fallback_on: Sequence[str] = ()


class Waits(NamedTuple):
    """The longest timeouts in a file. The transport applies them without a timer per call."""

    connect_s: float
    piece_s: float


def find_longest(file: FileSettings) -> Waits:
    """Find the longest timeouts in a file."""
    limits = file.limits
    tables: list[LimitSettings | ModelSettings] = [limits, *file.models.values()]
    connects = [table.connect_timeout_s for table in tables]
    pieces = [table.upstream_timeout_s for table in tables]
    pieces += [table.first_token_timeout_s for table in tables]
    return Waits(max(filter(None, connects)), max(filter(None, pieces)))


def open_policy(file: FileSettings, model: ModelSettings | None, *, waits: Waits) -> Policy:
    """The policy for a name that the file defines, or for every other name."""
    limits, retries, own = file.limits, file.retries, model or _NOTHING
    piece_s = own.upstream_timeout_s or limits.upstream_timeout_s
    first_s = own.first_token_timeout_s or limits.first_token_timeout_s or piece_s
    connect_s = own.connect_timeout_s or limits.connect_timeout_s
    return Policy(
        attempts_max=own.attempts_max or retries.attempts_max,
        backoff_s=retries.backoff_s,
        backoff_max_s=retries.backoff_max_s,
        retry_after_max_s=retries.retry_after_max_s,
        connect_timeout_s=connect_s if connect_s < waits.connect_s else None,
        first_token_timeout_s=first_s if first_s < waits.piece_s else None,
        piece_timeout_s=piece_s if piece_s < waits.piece_s else None,
        call_timeout_s=own.call_timeout_s or limits.call_timeout_s,
        fallback_on=own.fallback_on,
    )


def time_left_s(call: Call, policy: Policy) -> float:
    """Seconds until the call must end."""
    limit_s = policy.call_timeout_s
    return math.inf if limit_s is None else limit_s - call.elapsed_ms / 1000


def patience_left_s(call: Call, policy: Policy) -> float:
    """Seconds until the call must end or its client stops waiting, whichever comes first."""
    try:
        limit_s = float(call.patience or "inf")
    except ValueError:
        limit_s = math.inf
    return min(time_left_s(call, policy), limit_s - call.elapsed_ms / 1000)


def begin_in_time(answer: Awaitable[T], *, call: Call, policy: Policy) -> Awaitable[T]:
    """Wait for an answer, or for its beginning. Raises `UpstreamTimeout` if it is late."""
    if policy.first_token_timeout_s is None and policy.call_timeout_s is None:
        return answer
    return _begin_in_time(answer, call=call, policy=policy)


async def _begin_in_time(answer: Awaitable[T], *, call: Call, policy: Policy) -> T:
    first_s = policy.first_token_timeout_s or math.inf
    left_s = time_left_s(call, policy)
    try:
        async with asyncio.timeout(min(first_s, left_s)):
            return await answer
    except TimeoutError as error:
        name = call.completion.provider
        if left_s <= first_s:
            raise _explain_call(call, policy) from error
        is_any = first_s == policy.piece_timeout_s
        setting = "upstream_timeout_s" if is_any else "first_token_timeout_s"
        raise UpstreamTimeout(
            f"{name} did not answer in time: it sent nothing for {first_s:g} s ({setting})."
        ) from error


def read_in_time(stream: Stream, take: Take, *, call: Call, policy: Policy) -> Awaitable[bool]:
    """Read on. Raises `UpstreamTimeout` if the next piece or the end is late."""
    if policy.piece_timeout_s is None and policy.call_timeout_s is None:
        return stream.read(take)
    return _read_in_time(stream, take, call=call, policy=policy)


async def _read_in_time(stream: Stream, take: Take, *, call: Call, policy: Policy) -> bool:
    now = asyncio.get_running_loop().time
    piece_s = policy.piece_timeout_s or math.inf
    end = now() + time_left_s(call, policy)
    try:
        async with asyncio.timeout_at(min(now() + piece_s, end)) as limit:

            def take_in_time(
                received: bytes, payloads: Sequence[bytes], passed: bytes | None = None, /
            ) -> bool:
                limit.reschedule(min(now() + piece_s, end))
                return take(received, payloads, passed)

            return await stream.read(take if policy.piece_timeout_s is None else take_in_time)
    except TimeoutError as error:
        if limit.when() == end:
            raise _explain_call(call, policy) from error
        raise UpstreamTimeout(
            f"{call.completion.provider} stopped during its stream: it sent nothing for "
            f"{piece_s:g} s (upstream_timeout_s)."
        ) from error


def _explain_call(call: Call, policy: Policy) -> UpstreamTimeout:
    return UpstreamTimeout(
        f"{call.completion.provider} did not finish in time: a call may take "
        f"{policy.call_timeout_s:g} s (call_timeout_s)."
    )
