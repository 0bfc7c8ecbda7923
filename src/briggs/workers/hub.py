"""What the supervisor does for its workers: passes messages on, and counts limits."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterable
from typing import Any

from briggs.gateway.balances import Balances, Hold, Refused
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

logger = logging.getLogger("briggs")

ANSWERS_WITHIN_S = 3.0
"""How long a worker may take to answer another one."""


class Member:
    """A worker that is connected."""

    def __init__(self, number: int, line: PeerLine) -> None:
        self.number = number
        self.line = line
        self.is_ready = False
        self.holds: dict[int, Hold] = {}
        """What is reserved for its calls, by their tickets."""


class Hub:
    """The workers that are connected. Belongs to the supervisor's event loop."""

    def __init__(self, *, wanted: int) -> None:
        self._wanted = wanted
        self._members: dict[int, Member] = {}
        self._balances = Balances()
        self._tickets = 0
        self.restarts = 0

    @property
    def state(self) -> State:
        """What every worker is told."""
        return State(
            keeper=min(self._members, default=0),
            running=sum(each.is_ready for each in self._members.values()),
            wanted=self._wanted,
            restarts=self.restarts,
        )

    def add(self, member: Member) -> None:
        """Connect a worker. It may call these functions."""
        functions = member.line.functions
        functions["tell"] = lambda body: self._pass_on(member, body)
        functions["ask"] = lambda body: self._ask_others(member, body)
        functions["reserve"] = lambda body: self._reserve(member, body)
        functions["settle"] = lambda body: self._settle(member, body)
        functions["look"] = self._look
        self._members[member.number] = member

    async def remove(self, member: Member) -> None:
        """Forget a worker that has died. Its calls end here, and one of the others takes over."""
        self._members.pop(member.number, None)
        for hold in member.holds.values():
            self._balances.abandon(hold)
        member.holds.clear()
        self.tell_state()
        keeper = self._members.get(self.state.keeper)
        if keeper is not None:
            keeper.line.tell("fail_left")

    def tell_state(self) -> None:
        """Tell all workers what has changed."""
        body = encode(self.state)
        for each in self._members.values():
            each.line.tell("state", body)

    async def call_all(self, name: str, body: bytes = b"") -> list[bytes]:
        """Call a function of all workers that answer. Raises `LineLost` if one of them fails."""
        ready = [each for each in self._members.values() if each.is_ready]
        return [*await asyncio.gather(*(each.line.call(name, body) for each in ready))]

    def tell_keeper(self, name: str) -> None:
        """Tell one worker something."""
        keeper = self._members.get(self.state.keeper)
        if keeper is not None:
            keeper.line.tell(name)

    def _list_others(self, member: Member) -> Iterable[Member]:
        return [each for each in self._members.values() if each is not member]

    def _pass_on(self, member: Member, body: bytes) -> bytes:
        message = decode(body, of=PeerMessage)
        for each in self._list_others(member):
            each.line.tell(f"peers.{message.topic}", message.body)
        return b""

    async def _ask_others(self, member: Member, body: bytes) -> bytes:
        message = decode(body, of=PeerMessage)
        asked = (
            _answer_in_time(each.line.call(f"peers.{message.topic}", message.body))
            for each in self._list_others(member)
        )
        answers = await asyncio.gather(*asked)
        return encode([each for each in answers if each is not None])

    def _reserve(self, member: Member, body: bytes) -> bytes:
        asked = decode(body, of=Reserve)
        for claim, spent in asked.spent:
            self._balances.put_spent(claim, spent)
        unread = self._balances.list_unread(asked.claims)
        if unread:
            return encode(Reserved(unread=unread, days=self._balances.list_days()))
        answer = self._balances.reserve(asked.claims, asked.need)
        if isinstance(answer, Refused):
            return encode(Reserved(shortage=answer.shortage, headers=answer.headers))
        self._tickets += 1
        member.holds[self._tickets] = answer.hold
        return encode(Reserved(ticket=self._tickets, headers=answer.headers))

    def _settle(self, member: Member, body: bytes) -> bytes:
        used = decode(body, of=Settle)
        hold = member.holds.pop(used.ticket, None)
        if hold is not None:
            self._balances.settle(hold, tokens=used.tokens, cost=used.cost)
        return b""

    def _look(self, body: bytes) -> bytes:
        asked = decode(body, of=UseOf)
        use = self._balances.look(asked.holder, asked.id, organization_id=asked.organization_id)
        return encode(use)


async def _answer_in_time(call: Coroutine[Any, Any, bytes]) -> bytes | None:
    try:
        return await asyncio.wait_for(call, ANSWERS_WITHIN_S)
    except (LineLost, TimeoutError):
        return None
