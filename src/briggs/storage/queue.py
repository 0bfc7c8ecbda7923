"""The operations that wait to be written, limited by count and bytes."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any

import msgspec
from sqlalchemy import Connection

from briggs.types.completions import Completion

LINGER_S = 0.05
"""How long a `started` waits for its end, so that both become one insert."""

TURNS_MAX = 2
"""How many more turns of the event loop a batch waits while further calls end in each."""

BATCH_OPERATIONS_MAX = 512
OVERHEAD_BYTES = 512
"""What an operation counts for, in addition to its bodies."""


class Operation(msgspec.Struct, kw_only=True):
    """One thing to write, and the future of the caller that waits for it."""

    size: int = OVERHEAD_BYTES
    future: asyncio.Future[Any] | None = None
    result: Any = None
    error: Exception | None = None


class Write(Operation, kw_only=True):
    """A completion to write, in its state at the time of writing."""

    completion: Completion
    started: bool
    """Whether to write it as `started`, even if it has ended since."""
    is_whole: bool = False
    """Whether it has ended, and nothing of it was written before."""


class Act(Operation, kw_only=True):
    """Any other write."""

    action: Callable[[Connection], Any]
    then: Callable[[Any], None] | None = None
    """Called by the writer with the result, after the commit."""


class Queue:
    """The event loop's thread calls all methods except `take`, which the writer calls."""

    def __init__(
        self, *, loop: asyncio.AbstractEventLoop, operations_max: int, bytes_max: int
    ) -> None:
        self.operations = 0
        self.bytes = 0
        self.merged = 0
        self.write_at_once: Callable[[list[Operation]], bool] = lambda operations: False
        """Writes operations in the event loop's thread, unless it might have to wait."""
        self._loop = loop
        self._operations_max = operations_max
        self._bytes_max = bytes_max
        self._ready: SimpleQueue[Operation | None] = SimpleQueue()
        self._passed = 0
        """How many operations the writer's thread has and has not written yet."""
        self._turn: list[Operation] = []
        self._turn_size = self._turns_left = 0
        """How large it was at the end of the last turn, and how many more it may wait."""
        """What the event loop writes together, at the end of this turn or of one of the next."""
        self._starts: dict[str, tuple[float, Operation]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._waiters: deque[asyncio.Future[None]] = deque()

    def start(self, completion: Completion, *, size: int) -> None:
        """Queue a `started`, which may wait a little."""
        operation = Write(completion=completion, started=True, size=size)
        self.operations += 1
        self.bytes += operation.size
        self._starts[completion.id] = (self._loop.time() + LINGER_S, operation)
        if self._timer is None:
            self._timer = self._loop.call_later(LINGER_S, self._ripen)

    def settle(
        self, completion: Completion, *, size: int, future: asyncio.Future[Any] | None
    ) -> None:
        """Queue a `finished` or `failed` at once. It replaces its `started` if that still waits."""
        operation = Write(completion=completion, started=False, size=size, future=future)
        waiting = self._starts.pop(completion.id, None)
        if waiting is None:
            self.operations += 1
            self.bytes += operation.size
        else:
            self.merged += 1
            operation.is_whole = True
            self.bytes += operation.size - waiting[1].size
        self._add(operation)

    def act(
        self,
        action: Callable[[Connection], Any],
        *,
        then: Callable[[Any], None] | None = None,
        future: asyncio.Future[Any] | None = None,
    ) -> None:
        """Queue any other write."""
        operation = Act(action=action, then=then, future=future)
        self.operations += 1
        self.bytes += operation.size
        self._turn.append(operation)
        self._pass_on()

    def is_full(self, size: int) -> bool:
        """Whether something of this size has to wait. An empty queue accepts any size."""
        return self.operations > 0 and (
            self.operations >= self._operations_max or self.bytes + size > self._bytes_max
        )

    async def wait_for_room(self, size: int) -> None:
        """Wait until something of this size fits. This is what slows callers down."""
        while self.is_full(size):
            self.hurry()
            waiter = self._loop.create_future()
            self._waiters.append(waiter)
            await waiter

    def hurry(self) -> None:
        """Pass every waiting `started` to the writer now."""
        self._turn += [operation for _, operation in self._starts.values()]
        self._starts.clear()
        self._pass_on()

    def close(self) -> None:
        """Pass everything to the writer, and tell it that nothing follows."""
        if self._timer is not None:
            self._timer.cancel()
        self.hurry()
        self._ready.put(None)

    def deliver(self, operations: list[Operation]) -> None:
        """Give each waiting caller its result, once the writer's thread has written these."""
        self._passed -= len(operations)
        self._answer(operations)

    def _answer(self, operations: list[Operation]) -> None:
        """Give each waiting caller its result, and wake the callers that wait for room."""
        for operation in operations:
            self.operations -= 1
            self.bytes -= operation.size
            future = operation.future
            if future is None or future.done():
                continue
            if operation.error is None:
                future.set_result(operation.result)
            else:
                future.set_exception(operation.error)
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)

    def take(self, *, timeout_s: float, bytes_max: int) -> tuple[list[Operation], bool]:
        """Take what is ready, up to a batch. Also returns whether the queue was then closed."""
        try:
            operation = (
                self._ready.get(timeout=timeout_s) if timeout_s else self._ready.get_nowait()
            )
            batch: list[Operation] = []
            size = 0
            while operation is not None:
                batch.append(operation)
                size += operation.size
                if len(batch) >= BATCH_OPERATIONS_MAX or size >= bytes_max:
                    return batch, False
                try:
                    operation = self._ready.get_nowait()
                except Empty:
                    return batch, False
        except Empty:
            return [], False
        return batch, True

    def _add(self, operation: Operation) -> None:
        """Write it at the end of a turn of the event loop, with all others that come until then."""
        if not self._turn:
            self._turn_size, self._turns_left = 0, TURNS_MAX
            self._loop.call_soon(self._end_turn)
        self._turn.append(operation)

    def _end_turn(self) -> None:
        if not self._turn:
            return
        if self._starts and self._turns_left and len(self._turn) > self._turn_size:
            # Calls end one after the other, and the next turn may bring more of them.
            self._turn_size = len(self._turn)
            self._turns_left -= 1
            self._loop.call_soon(self._end_turn)
            return
        # What the thread has not written yet is older, and must be written first.
        if self._passed or not self.write_at_once(self._turn):
            self._pass_on()
            return
        written, self._turn = self._turn, []
        self._answer(written)

    def _pass_on(self) -> None:
        """Leave the turn's operations to the writer's thread."""
        self._passed += len(self._turn)
        for operation in self._turn:
            self._ready.put(operation)
        self._turn = []

    def _ripen(self) -> None:
        """Pass on every `started` that has waited long enough for its end."""
        now = self._loop.time()
        while self._starts:
            id, (ripe_at, operation) = next(iter(self._starts.items()))
            if ripe_at > now:
                self._timer = self._loop.call_at(ripe_at, self._ripen)
                return
            del self._starts[id]
            self._add(operation)
        self._timer = None


def size_of(completion: Completion) -> int:
    """The size that a completion counts for in the queue, in bytes."""
    return (
        OVERHEAD_BYTES
        + len(completion.request)
        + len(completion.response or b"")
        + len(completion.received or b"")
    )
