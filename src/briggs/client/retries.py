"""Decides which requests to retry, how often, and after what pause."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from briggs.client.errors import ClientError, ConnectionLost, Refused, ServerUnreachable

T = TypeVar("T")

STATUSES = frozenset({429, 500, 502, 503, 504})
"""Statuses after which the same request may succeed a little later."""
PAUSE_S = 0.5
PAUSE_S_MAX = 8.0
RETRY_AFTER_S_MAX = 60.0
"""If the server asks for a longer pause, raise its error instead of waiting."""


async def repeat(ask: Callable[[int], Awaitable[T]], *, retries_max: int, is_idempotent: bool) -> T:
    """Call `ask` with the retry's number until it succeeds or cannot be retried."""
    retry = 0
    while True:
        try:
            return await ask(retry)
        except ClientError as error:
            pause_s = choose_pause_s(error, retry=retry, is_idempotent=is_idempotent)
            if retry == retries_max or pause_s is None:
                raise
        retry += 1
        await asyncio.sleep(pause_s)


def choose_pause_s(error: ClientError, *, retry: int, is_idempotent: bool) -> float | None:
    """How long to wait before the next try. None if there must not be one."""
    match error:
        case Refused(status=status, headers=headers) if status in STATUSES:
            return _read_retry_after_s(headers.get("retry-after"), _back_off_s(retry))
        case ServerUnreachable(is_near=False):
            return _back_off_s(retry)
        case ConnectionLost() if is_idempotent:
            return _back_off_s(retry)
    return None


def _back_off_s(retry: int) -> float:
    """Double the pause each time. Subtract up to a quarter, so that callers spread out."""
    return min(PAUSE_S * 2.0**retry, PAUSE_S_MAX) * (1 - random.random() / 4)  # noqa: S311


def _read_retry_after_s(given: str | None, default: float) -> float | None:
    """`Retry-After` in seconds. A date is ignored, because Briggs never sends one."""
    try:
        seconds = max(0.0, float(given)) if given else default
    except ValueError:
        return default
    return seconds if seconds <= RETRY_AFTER_S_MAX else None
