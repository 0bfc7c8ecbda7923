"""Who asks: what the gateway needs of a caller, and a caller within Briggs."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from typing import Protocol

from briggs.types.errors import BriggsError

OnHangUp = Callable[[asyncio.Task[None]], bool]
"""Called with the task of a call when its caller has left. Returns whether the task continues."""

# How much of a stream may wait to be read before the upstream has to wait.
_AHEAD_BYTES_MAX = 64 * 1024


class Caller(Protocol):
    """Gets the answer to a call. It may leave before the end."""

    headers: Mapping[str, str]
    """More headers of the answer. They are set before the answer begins."""

    def watch(self, on_hang_up: OnHangUp) -> None:
        """From now on, if the caller leaves, cancel the call unless `on_hang_up` returns true."""
        ...

    def answer(self, body: bytes) -> None:
        """Give the whole answer."""
        ...

    def send(self, frames: bytes) -> bool:
        """Give the next frames of a stream. Returns False if more should wait for `drain`."""
        ...

    async def drain(self) -> None:
        """Wait until the caller has read most of what was sent."""
        ...

    def finish(self) -> None:
        """End a stream."""
        ...


class Listener:
    """A caller within Briggs. What is sent waits here until it is read."""

    def __init__(self) -> None:
        self.headers: Mapping[str, str] = {}
        self.error: BriggsError | None = None
        """Why there is no answer."""
        self._pieces: deque[bytes] = deque()
        self._size = 0
        self._is_ended = False
        self._is_left = False
        self._changed = asyncio.Event()
        self._on_hang_up: OnHangUp | None = None

    # ---- Called by the gateway ------------------------------------------------------------

    def watch(self, on_hang_up: OnHangUp) -> None:
        self._on_hang_up = on_hang_up

    def answer(self, body: bytes) -> None:
        self.send(body)

    def send(self, frames: bytes) -> bool:
        if not self._is_left:
            self._pieces.append(frames)
            self._size += len(frames)
            self._changed.set()
        return self._size <= _AHEAD_BYTES_MAX

    async def drain(self) -> None:
        while self._size > _AHEAD_BYTES_MAX:
            await self._wait()

    def finish(self) -> None:
        self._is_ended = True
        self._changed.set()

    # ---- Called by the reader -------------------------------------------------------------

    async def take(self) -> bytes | None:
        """The next piece; None after the last one. Raises the error of a call without an answer."""
        while not self._pieces:
            if self.error is not None:
                raise self.error
            if self._is_ended:
                return None
            await self._wait()
        piece = self._pieces.popleft()
        self._size -= len(piece)
        self._changed.set()
        return piece

    async def leave(self, task: asyncio.Task[None]) -> None:
        """Read no more. Unless the call continues, returns when it has ended and is recorded."""
        self._is_left, self._size = True, 0
        self._pieces.clear()
        self._changed.set()
        if not task.done() and not (self._on_hang_up is not None and self._on_hang_up(task)):
            task.cancel()
            await asyncio.wait([task])

    async def _wait(self) -> None:
        self._changed.clear()
        await self._changed.wait()
