"""Where a ledger has its calls counted: in its own process, or in one place for several."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

from briggs.gateway.balances import Balances, Claim, Granted, Refused
from briggs.gateway.shortages import refuse
from briggs.gateway.uses import Need
from briggs.types.errors import LimitReached
from briggs.types.limits import Holder, Use

ReadSpent = Callable[[Claim, Sequence[int]], Awaitable[Mapping[int, int]]]
"""Reads from the record what a holder has spent on these days, in 1e-9 US dollars."""


class Ticket(Protocol):
    """What is reserved for a call."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers of the answer that tell how much is left."""
        ...

    def settle(self, *, tokens: int, cost: int) -> None:
        """Replace what was reserved by what the call has used. Called once."""
        ...


class ShortOf(Exception):
    """A call that does not fit into a limit, and the error for its caller."""

    def __init__(self, refusal: LimitReached, *, holder: Holder, limit: str) -> None:
        super().__init__(refusal)
        self.refusal = refusal
        self.holder = holder
        self.limit = limit


class Book(Protocol):
    """Checks and reserves in one step, for all processes that count in it."""

    async def reserve(self, claims: Sequence[Claim], need: Need, *, read: ReadSpent) -> Ticket:
        """Reserve what a call may use. Raises `ShortOf`, and `StoreUnavailable`."""
        ...

    async def look(self, holder: Holder, id: str, *, organization_id: str) -> Use:
        """What a holder uses now."""
        ...


class OwnBook:
    """The book of a process that answers alone."""

    def __init__(self, balances: Balances) -> None:
        self._balances = balances
        self._reading: dict[Claim, asyncio.Task[None]] = {}

    async def reserve(self, claims: Sequence[Claim], need: Need, *, read: ReadSpent) -> Ticket:
        for claim in self._balances.list_unread(claims):
            await self._read_once(claim, read)
        answer = self._balances.reserve(claims, need)
        if isinstance(answer, Refused):
            raise short_of(answer)
        return _OwnTicket(self._balances, answer)

    async def look(self, holder: Holder, id: str, *, organization_id: str) -> Use:
        return self._balances.look(holder, id, organization_id=organization_id)

    async def _read_once(self, claim: Claim, read: ReadSpent) -> None:
        reading = self._reading.get(claim)
        if reading is None:
            reading = asyncio.create_task(self._read(claim, read))
            self._reading[claim] = reading
            reading.add_done_callback(lambda _: self._reading.pop(claim))
        # All calls wait for one read, and whoever hangs up does not end it.
        await asyncio.shield(reading)

    async def _read(self, claim: Claim, read: ReadSpent) -> None:
        self._balances.put_spent(claim, await read(claim, self._balances.list_days()))


class _OwnTicket:
    """A hold of this process."""

    def __init__(self, balances: Balances, granted: Granted) -> None:
        self._balances = balances
        self._hold = granted.hold
        self.headers = granted.headers

    def settle(self, *, tokens: int, cost: int) -> None:
        self._balances.settle(self._hold, tokens=tokens, cost=cost)


def short_of(refused: Refused) -> ShortOf:
    """The error of a call that was refused."""
    shortage = refused.shortage
    refusal = refuse(shortage, headers=refused.headers)
    return ShortOf(refusal, holder=shortage.holder, limit=shortage.limit)
