"""Asking the targets of a call, in their order, until one answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from briggs.gateway.record import Call
from briggs.providers.base import Target
from briggs.types.errors import UpstreamError

T = TypeVar("T")


async def ask_in_order(
    call: Call, targets: Sequence[Target], *, ask: Callable[[Target], Awaitable[T]]
) -> T:
    """What the first target that answers says; of the last one, also its error."""
    for target in targets[:-1]:
        try:
            return await _ask_one(call, target, ask)
        except UpstreamError as error:
            if not error.retryable:
                raise
    return await _ask_one(call, targets[-1], ask)


async def _ask_one(call: Call, target: Target, ask: Callable[[Target], Awaitable[T]]) -> T:
    call.completion.provider = target.provider.name
    call.completion.attempts += 1
    return await ask(target)
