"""The work of the keeper: it belongs to a term, and ends with it.

A keeper may be frozen, or cut off, until another process has taken over. When it goes on, it must
not do anything a second time. So each task of its work knows the term in which it was begun. The
store writes nothing for a term that is over. The task is cancelled at its next write, or before.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

from briggs.types.peers import Alone, Peers

T = TypeVar("T")

LOOKED_EVERY_S = 0.25
"""How often it is looked whether the term has ended, of work that writes nothing for so long."""

_term: contextvars.ContextVar[int | None] = contextvars.ContextVar("term", default=None)


class TermOver(asyncio.CancelledError):
    """Another process is the keeper now, so this task ends as if it were cancelled."""


def find_term() -> int | None:
    """The term that this work belongs to. None if any process may do it."""
    return _term.get()


@contextlib.contextmanager
def working_in(term: int) -> Iterator[None]:
    """Let what is done in the block belong to a term."""
    before = _term.set(term)
    try:
        yield
    finally:
        _term.reset(before)


class Keeping:
    """What one part of a server does only while its process is the keeper."""

    def __init__(self, peers: Peers | None = None) -> None:
        self._peers = peers or Alone()
        self._tasks: dict[asyncio.Task[Any], int] = {}
        """The tasks that are cancelled when their term is over."""
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_ours(self) -> bool:
        """Whether this process is the keeper."""
        return self._peers.is_keeper

    @property
    def term(self) -> int:
        """The term in which it is. 0 if it is not."""
        return self._peers.term

    def begin(self, work: Coroutine[Any, Any, T], *, is_cancelled: bool = True) -> asyncio.Task[T]:
        """Begin a task of the term that the caller belongs to, or of this one.

        With `is_cancelled` false, it goes on when the term is over, until it writes or calls
        `Store.require_term`.
        """
        term = find_term()
        term = self._peers.term if term is None else term
        with working_in(term):
            task = asyncio.get_running_loop().create_task(work)
        if is_cancelled and self._peers.describe():
            self._tasks[task] = term
            task.add_done_callback(lambda done: self._tasks.pop(done, None))
            self._look_soon()
        return task

    async def do(
        self, work: Callable[[], Coroutine[Any, Any, None]], *, is_cancelled: bool = True
    ) -> None:
        """Do some work and wait for its end, if this process is the keeper."""
        if not self.is_ours:
            return
        task = self.begin(work(), is_cancelled=is_cancelled)
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            raise
        if not task.cancelled():
            task.result()

    def _look_soon(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(LOOKED_EVERY_S, self._look)

    def _look(self) -> None:
        self._timer = None
        now = self._peers.term
        for task, term in [*self._tasks.items()]:
            if term != now:
                # Once, so that what it does at its end is left in peace.
                del self._tasks[task]
                task.cancel()
        if self._tasks:
            self._look_soon()
