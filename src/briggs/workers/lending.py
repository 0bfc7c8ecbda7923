"""Runs models' processes for all workers, and stops each when nobody needs it."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Coroutine
from typing import Any

from briggs.providers.local_children import ChildPlan, OwnChild, OwnChildren
from briggs.workers.line import PeerLine
from briggs.workers.messages import Borrowed, decode, encode


class _Loan:
    """A process, and how often each worker has borrowed it."""

    def __init__(self, child: OwnChild, number: int) -> None:
        self.child = child
        self.number = number
        self.borrowers: Counter[PeerLine] = Counter()


class Lender:
    """The models' processes. Belongs to the supervisor's event loop."""

    def __init__(self, children: OwnChildren) -> None:
        self._children = children
        self._by_plan: dict[ChildPlan, _Loan] = {}
        self._loans: dict[int, _Loan] = {}
        self._locks: defaultdict[ChildPlan, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._numbers = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def add(self, line: PeerLine) -> None:
        """Lend to a worker."""
        line.functions["borrow"] = lambda body: self._borrow(line, decode(body, of=ChildPlan))
        line.functions["has_ended"] = lambda body: self._has_ended(decode(body, of=int))
        line.functions["give_back"] = lambda body: self._take_back(line, decode(body, of=int))

    def remove(self, line: PeerLine) -> None:
        """Take back what a worker had when it died."""
        for loan in [*self._loans.values()]:
            if loan.borrowers.pop(line, 0):
                self._stop_unused(loan)

    async def close(self) -> None:
        """Stop all processes."""
        await asyncio.gather(*(each.child.give_back() for each in self._loans.values()))
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._children.close()

    async def _borrow(self, line: PeerLine, plan: ChildPlan) -> bytes:
        async with self._locks[plan]:
            loan = self._by_plan.get(plan)
            if loan is None or not loan.child.is_alive:
                self._numbers += 1
                number = self._numbers
                loan = _Loan(await self._children.start(plan), number)
                self._by_plan[plan] = self._loans[number] = loan
                self._keep(self._watch(loan))
        loan.borrowers[line] += 1
        return encode(Borrowed(loan.number, loan.child.address, loan.child.key))

    async def _has_ended(self, number: int) -> bytes:
        loan = self._loans.get(number)
        return encode(loan is None or await loan.child.has_ended())

    def _take_back(self, line: PeerLine, number: int) -> bytes:
        loan = self._loans.get(number)
        if loan is not None and loan.borrowers[line] > 0:
            loan.borrowers[line] -= 1
            self._stop_unused(loan)
        return b""

    def _stop_unused(self, loan: _Loan) -> None:
        if not loan.borrowers.total() and self._loans.pop(loan.number, None) is not None:
            self._forget(loan)
            self._keep(loan.child.give_back())

    async def _watch(self, loan: _Loan) -> None:
        """Tell the borrowers when a process has ended, or has grown past its limit."""
        await loan.child.wait()
        self._forget(loan)
        for line in [*loan.borrowers]:
            line.tell("child_over", encode(loan.number))

    def _forget(self, loan: _Loan) -> None:
        """Lend it no more."""
        for plan, other in [*self._by_plan.items()]:
            if other is loan:
                del self._by_plan[plan]

    def _keep(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
