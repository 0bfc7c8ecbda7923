"""Models' processes as a worker borrows them, so that all workers share one for each model."""

from __future__ import annotations

import asyncio
import contextlib

from briggs.providers.local_children import ChildPlan
from briggs.types.errors import UpstreamUnreachable
from briggs.workers.line import LineLost, PeerLine
from briggs.workers.messages import Borrowed, decode, encode


class BorrowedChildren:
    """What one provider has borrowed from the supervisor."""

    def __init__(self, line: PeerLine, over: dict[int, asyncio.Event]) -> None:
        self._line = line
        self._over = over

    async def start(self, plan: ChildPlan) -> BorrowedChild:
        """Borrow a process for this plan. Raises `UpstreamUnreachable`."""
        try:
            borrowed = decode(await self._line.call("borrow", encode(plan)), of=Borrowed)
        except LineLost as error:
            raise UpstreamUnreachable(str(error)) from error
        over = self._over.setdefault(borrowed.number, asyncio.Event())
        return BorrowedChild(self._line, borrowed, over=over)

    async def close(self) -> None:
        """Each process was given back by itself."""


class BorrowedChild:
    """A process of the supervisor."""

    def __init__(self, line: PeerLine, borrowed: Borrowed, *, over: asyncio.Event) -> None:
        self.address = borrowed.address
        self.key = borrowed.key
        self._line = line
        self._number = encode(borrowed.number)
        self._over = over

    @property
    def is_alive(self) -> bool:
        return not self._over.is_set()

    async def wait(self) -> None:
        await self._over.wait()

    async def has_ended(self) -> bool:
        has_ended = True
        with contextlib.suppress(LineLost):
            has_ended = decode(await self._line.call("has_ended", self._number), of=bool)
        if has_ended:
            # The supervisor says so to all borrowers too, but that may come later.
            self._over.set()
        return has_ended

    async def give_back(self) -> None:
        self._line.tell("give_back", self._number)


def listen(line: PeerLine) -> dict[int, asyncio.Event]:
    """Hear when a borrowed process cannot be asked any more, by its number."""
    over: dict[int, asyncio.Event] = {}

    def note(body: bytes) -> bytes:
        over.setdefault(decode(body, of=int), asyncio.Event()).set()
        return b""

    line.functions["child_over"] = note
    return over
