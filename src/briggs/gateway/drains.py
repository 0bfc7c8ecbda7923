"""Continues calls whose callers have left, within limits.

A caller who leaves after every choice has finished has the whole answer. Only its usage is
still to come, so we read on. For a caller who leaves earlier, `on_hang_up` decides.
"""

from __future__ import annotations

import asyncio

from briggs.record.estimates import BYTES_PER_TOKEN
from briggs.record.record import Call
from briggs.settings import FileSettings


class Drains:
    """Decides which calls continue without their callers, and ends them in time."""

    def __init__(self, file: FileSettings) -> None:
        self._is_stopping = False
        self._timers: dict[str, tuple[asyncio.TimerHandle, asyncio.Task[None]]] = {}
        """By the id of the completion."""
        self.left_answered = 0
        """Callers who left after every choice of their stream had finished."""
        self.left_early = 0
        """Callers who left before that."""
        self.go_by(file)

    @property
    def in_flight(self) -> int:
        """How many calls continue without their callers."""
        return len(self._timers)

    def go_by(self, file: FileSettings) -> None:
        """Use this file's limits for callers who leave from now on."""
        self._limits = file.limits
        self._drains = file.on_hang_up == "drain"

    def take(self, call: Call, *, task: asyncio.Task[None]) -> bool:
        """Note that a caller has left. Return whether the call continues, until a time limit."""
        completion = call.completion
        if completion.status != "started":
            # It is already recorded, and ends in a moment.
            return True
        completion.caller_left_ms = call.elapsed_ms
        if call.is_answered:
            self.left_answered += 1
            limit_s = self._limits.usage_timeout_s
        else:
            self.left_early += 1
            if not self._drains or not _is_asked(call):
                return False
            limit_s = self._limits.drain_timeout_s
        if self.in_flight >= self._limits.drains_max:
            return False
        if self._is_stopping:
            limit_s = min(limit_s, self._limits.usage_timeout_s)
        call.drained_bytes_max = self._limits.drain_tokens_max * BYTES_PER_TOKEN
        self._cancel_later(completion.id, task, limit_s)
        return True

    def release(self, call: Call) -> None:
        """Forget a call that has ended."""
        timer, _ = self._timers.pop(call.completion.id, (None, None))
        if timer is not None:
            timer.cancel()

    def hurry(self) -> None:
        """Shorten every wait to `usage_timeout_s`, since the process is about to end."""
        self._is_stopping = True
        end = asyncio.get_running_loop().time() + self._limits.usage_timeout_s
        for id, (timer, task) in list(self._timers.items()):
            if timer.when() > end:
                timer.cancel()
                self._cancel_later(id, task, self._limits.usage_timeout_s)

    def _cancel_later(self, id: str, task: asyncio.Task[None], limit_s: float) -> None:
        timer = asyncio.get_running_loop().call_later(limit_s, task.cancel)
        self._timers[id] = timer, task


def _is_asked(call: Call) -> bool:
    """Whether a target has the request and has not failed."""
    attempts = call.completion.attempts
    return bool(attempts) and attempts[-1].reason is None
