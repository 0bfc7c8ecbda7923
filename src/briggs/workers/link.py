"""A worker's link to the supervisor: its peers, and the book of limits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from briggs.gateway.balances import Claim, Refused
from briggs.gateway.book import ReadSpent, Ticket, short_of
from briggs.gateway.uses import Need
from briggs.types.errors import StoreUnavailable
from briggs.types.limits import Holder, Use
from briggs.types.peers import Handler
from briggs.workers.line import LineLost, PeerLine
from briggs.workers.messages import (
    PeerMessage,
    Reserve,
    Reserved,
    Settle,
    State,
    UseOf,
    decode,
    encode,
)


class Link:
    """The other workers of this Briggs, as one of them sees them."""

    def __init__(self, line: PeerLine, *, number: int, state: State) -> None:
        self.state = state
        self.on_keeper: Callable[[], None] = lambda: None
        """Called when this worker becomes the keeper."""
        self._line = line
        self._number = number
        line.functions["state"] = self._learn

    @property
    def is_keeper(self) -> bool:
        return self.state.keeper == self._number

    @property
    def term(self) -> int:
        # A worker is the keeper until it dies.
        return int(self.is_keeper)

    def describe(self) -> Mapping[str, Mapping[str, int | str]]:
        state = self.state
        workers = {"running": state.running, "wanted": state.wanted, "restarts": state.restarts}
        return {"workers": workers}

    def handle(self, topic: str, handler: Handler) -> None:
        self._line.functions[f"peers.{topic}"] = handler

    def tell(self, topic: str, message: bytes = b"") -> None:
        self._line.tell("tell", encode(PeerMessage(topic, message)))

    async def ask(self, topic: str, question: bytes = b"") -> Sequence[bytes]:
        try:
            answer = await self._line.call("ask", encode(PeerMessage(topic, question)))
        except LineLost:
            # Without a supervisor, this worker is about to end.
            return ()
        return decode(answer, of=list[bytes])

    def _learn(self, body: bytes) -> bytes:
        was_keeper, self.state = self.is_keeper, decode(body, of=State)
        if self.is_keeper and not was_keeper:
            self.on_keeper()
        return b""


class SharedBook:
    """The book that the supervisor keeps for all workers."""

    def __init__(self, line: PeerLine) -> None:
        self._line = line

    async def reserve(self, claims: Sequence[Claim], need: Need, *, read: ReadSpent) -> Ticket:
        reserved = await self._ask(Reserve([*claims], need, []))
        while reserved.unread:
            spent = [(each, dict(await read(each, reserved.days))) for each in reserved.unread]
            reserved = await self._ask(Reserve([*claims], need, spent))
        if reserved.shortage is not None:
            raise short_of(Refused(reserved.shortage, reserved.headers))
        return _SharedTicket(self._line, reserved)

    async def look(self, holder: Holder, id: str, *, organization_id: str) -> Use:
        try:
            answer = await self._line.call("look", encode(UseOf(holder, id, organization_id)))
        except LineLost as error:
            raise _STOPPING from error
        return decode(answer, of=Use)

    async def _ask(self, reserve: Reserve) -> Reserved:
        asking = asyncio.ensure_future(self._line.call("reserve", encode(reserve)))
        try:
            return decode(await asyncio.shield(asking), of=Reserved)
        except LineLost as error:
            raise _STOPPING from error
        except asyncio.CancelledError:
            # The caller has left, and what is being reserved must not stay so.
            asking.add_done_callback(self._give_back)
            raise

    def _give_back(self, asking: asyncio.Future[bytes]) -> None:
        if asking.cancelled() or asking.exception() is not None:
            return
        reserved = decode(asking.result(), of=Reserved)
        if reserved.ticket:
            _SharedTicket(self._line, reserved).settle(tokens=0, cost=0)


_STOPPING = StoreUnavailable("Limits cannot be checked, because the server is stopping: try again.")


class _SharedTicket:
    """A hold in the supervisor."""

    def __init__(self, line: PeerLine, reserved: Reserved) -> None:
        self._line = line
        self._number = reserved.ticket
        self.headers = reserved.headers

    def settle(self, *, tokens: int, cost: int) -> None:
        self._line.tell("settle", encode(Settle(self._number, tokens, cost)))
