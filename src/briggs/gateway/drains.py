"""Continues calls whose callers have left, within limits.

A caller who leaves after every choice has finished has the whole answer. Only its usage is
still to come, so we read on. For a caller who leaves earlier, `on_hang_up` decides.
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from briggs.record.estimates import BYTES_PER_TOKEN
from briggs.record.record import Call
from briggs.settings import FileSettings, LimitSettings


class Drains:
    """Decides which calls continue without their callers, and ends them in time."""

    def __init__(self) -> None:
        self._is_stopping = False
        self._drained: dict[str, _Drained] = {}
        """By the id of the completion."""
        self.left_answered = 0
        """Callers who left after every choice of their stream had finished."""
        self.left_early = 0
        """Callers who left before that."""

    @property
    def in_flight(self) -> int:
        """How many calls continue without their callers."""
        return len(self._drained)

    def take(self, call: Call, task: asyncio.Task[None], *, file: FileSettings) -> bool:
        """Note that a caller has left. Return whether the call continues, until a time limit."""
        completion, limits = call.completion, file.limits
        if completion.status != "started":
            # It is already recorded, and ends in a moment.
            return True
        completion.caller_left_ms = call.elapsed_ms
        if call.is_answered:
            self.left_answered += 1
            limit_s = limits.usage_timeout_s
        else:
            self.left_early += 1
            if file.on_hang_up != "drain" or not _is_asked(call):
                return False
            limit_s = limits.drain_timeout_s
        if self.in_flight >= limits.drains_max:
            return False
        if self._is_stopping:
            limit_s = min(limit_s, limits.usage_timeout_s)
        call.drained_bytes_max = limits.drain_tokens_max * BYTES_PER_TOKEN
        timer = asyncio.get_running_loop().call_later(limit_s, task.cancel)
        self._drained[completion.id] = _Drained(timer, task, limits)
        return True

    def release(self, call: Call) -> None:
        """Forget a call that has ended."""
        if drained := self._drained.pop(call.completion.id, None):
            drained.timer.cancel()

    def hurry(self) -> None:
        """Shorten every wait to `usage_timeout_s`, since the process is about to end."""
        self._is_stopping = True
        loop = asyncio.get_running_loop()
        for id, (timer, task, limits) in list(self._drained.items()):
            end = loop.time() + limits.usage_timeout_s
            if timer.when() > end:
                timer.cancel()
                self._drained[id] = _Drained(loop.call_at(end, task.cancel), task, limits)


class _Drained(NamedTuple):
    """A call that continues, what will end it, and the limits that it began with."""

    timer: asyncio.TimerHandle
    task: asyncio.Task[None]
    limits: LimitSettings


def _is_asked(call: Call) -> bool:
    """Whether a target has the request and has not failed."""
    attempts = call.completion.attempts
    return bool(attempts) and attempts[-1].reason is None
