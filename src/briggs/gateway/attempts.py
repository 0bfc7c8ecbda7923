"""Asking the targets of a call, in their order, until one answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from briggs.gateway.record import Call
from briggs.providers.base import Prepared, Provider, Target
from briggs.types.completions import Attempt
from briggs.types.errors import BriggsError, HangUp, UpstreamError, UpstreamRejected

T = TypeVar("T")


async def ask_in_order(
    call: Call, targets: Sequence[Target], *, ask: Callable[[Provider, Prepared], Awaitable[T]]
) -> T:
    """What the first target that answers says; of the last one, also its error."""
    for target in targets[:-1]:
        try:
            return await _ask_one(call, target, ask)
        except UpstreamError as error:
            if not error.retryable:
                raise
    return await _ask_one(call, targets[-1], ask)


async def _ask_one(
    call: Call, target: Target, ask: Callable[[Provider, Prepared], Awaitable[T]]
) -> T:
    completion, provider = call.completion, target.provider
    prepared = provider.prepare(call.envelope, model=target.model)
    completion.dropped = list(prepared.dropped)
    completion.provider = provider.name
    attempt = Attempt(target=f"{provider.name}/{target.model}", duration_ms=0)
    completion.attempts.append(attempt)
    began = time.perf_counter()
    try:
        answer = await ask(provider, prepared)
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
