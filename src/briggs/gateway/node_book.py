"""The book of a node, which counts in its own share of each limit, and borrows more in time.

No call waits for another machine as long as its node's share has room. When it has none, the node
borrows in a transaction. If too little is left, it asks the others to give back what they do not
use. So all nodes together never allow more than a limit, and may allow a little less for a moment.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import msgspec

from briggs.gateway.balances import Balances, Claim, Granted, Refused
from briggs.gateway.book import ReadSpent, Ticket, short_of
from briggs.gateway.shortages import Shortage, lack_dollars
from briggs.gateway.uses import Need
from briggs.storage import Store
from briggs.storage.allowances import KINDS, Lent, NodeShare, ShareWish, count_chunk
from briggs.storage.nodes import Nodes
from briggs.types.completions import current_time_us
from briggs.types.errors import BriggsError, StoreUnavailable
from briggs.types.limits import DAY_US, NANO, Holder, Limits, Use

logger = logging.getLogger("briggs")

RECALL, RETURNED, USE = "recall", "returned", "use"
"""The topics on which a node asks for what others do not use, says that it has given back, and asks
what a holder uses."""

TURNS_MAX = 10
"""How often a call may borrow what other calls then take before it."""

RETURNED_WITHIN_S = 1.0
DENIED_S = 1.0
"""After there was nothing to borrow, it is not tried again for so long."""

IDLE_S = 120.0
SWEPT_EVERY_S = 30.0


class _Key(msgspec.Struct, frozen=True, array_like=True):
    """A holder of limits."""

    holder: Holder
    organization_id: str
    id: str


class _Returned(msgspec.Struct, frozen=True, array_like=True):
    """A node has given back what it does not use."""

    key: _Key
    node_id: str


class _Account:
    """What this node has borrowed for one holder."""

    def __init__(self, key: _Key, limits: Limits) -> None:
        self.key = key
        self.limits = limits
        self.share = NodeShare()
        self.lent: Lent | None = None
        self.lapses = -1
        """How often this node had been taken for dead when it borrowed. -1: never borrowed."""
        self.lock = asyncio.Lock()
        """Held while the share is changed in the database."""
        self.denied_until = 0.0
        self.ahead_at = 0.0
        self.used_at = 0.0
        self.reserved = 0
        """What the calls in flight may cost, in units of 1e-9 US dollars. So is the next."""
        self.settled = 0
        """What was spent and may not be on record yet."""
        self.missing: set[str] = set()
        """The nodes that were asked to give back, and have not done so."""
        self.returned = asyncio.Event()

    @property
    def counts_dollars(self) -> bool:
        return any(kind == "nanodollars" for kind, _ in self.list_most())

    def list_most(self) -> Sequence[tuple[str, int]]:
        """The kinds of use that are limited, and their limits."""
        limits = self.limits
        named = (
            ("requests", limits.requests_per_minute),
            ("tokens", limits.tokens_per_minute),
            ("calls", limits.calls_in_flight),
            ("nanodollars", _least(limits.dollars_per_day, limits.dollars_per_month)),
        )
        return [(kind, most) for kind, most in named if most is not None]


class NodeBook:
    """Belongs to the event loop."""

    def __init__(
        self,
        store: Store,
        nodes: Nodes,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        clock: Callable[[], int] = current_time_us,
    ) -> None:
        self._store = store
        self._nodes = nodes
        self._monotonic = monotonic
        self._clock = clock
        self._balances = Balances(monotonic=monotonic, clock=clock)
        self._accounts: dict[_Key, _Account] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._sweep_at = 0.0
        nodes.handle(RECALL, self._hear_recall)
        nodes.handle(RETURNED, self._hear_returned)
        nodes.handle(USE, self._answer_use)

    async def reserve(self, claims: Sequence[Claim], need: Need, *, read: ReadSpent) -> Ticket:
        self._sweep()
        accounts = [self._open(each) for each in claims]
        needs = NodeShare(requests=1, tokens=need.tokens, calls=1, nanodollars=need.cost)
        for _ in range(TURNS_MAX):
            short = [each for each in accounts if not self._has_room(each, needs)]
            if not short:
                break
            borrowed = [await self._borrow_for(each, needs, day=need.day) for each in short]
            if not all(borrowed):
                break
        return self._take(claims, accounts, need)

    async def look(self, holder: Holder, id: str, *, organization_id: str) -> Use:
        key = _Key(holder, organization_id, id)
        answers = await self._nodes.ask(USE, msgspec.msgpack.encode(key))
        uses = [self._look(key), *(msgspec.msgpack.decode(each, type=Use) for each in answers)]
        return Use(
            requests=sum(each.requests for each in uses),
            tokens=sum(each.tokens for each in uses),
            calls_in_flight=sum(each.calls_in_flight for each in uses),
        )

    async def close(self) -> None:
        """Give back what is not used."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with contextlib.suppress(BriggsError):
            for account in self._accounts.values():
                await self._give_back(account, keeps=0)

    # ---- The share of this node -----------------------------------------------------------------

    def _open(self, claim: Claim) -> _Account:
        key = _Key(claim.holder, claim.organization_id, claim.id)
        account = self._accounts.get(key)
        if account is None:
            account = self._accounts[key] = _Account(key, claim.limits)
        elif account.limits != claim.limits:
            account.limits, account.lapses = claim.limits, -1
        account.used_at = self._monotonic()
        return account

    def _look(self, key: _Key) -> Use:
        return self._balances.look(key.holder, key.id, organization_id=key.organization_id)

    def _count(self, account: _Account) -> NodeShare:
        """What this node uses."""
        use = self._look(account.key)
        return NodeShare(
            requests=use.requests,
            tokens=use.tokens,
            calls=use.calls_in_flight,
            nanodollars=account.reserved + account.settled,
        )

    def _has_room(self, account: _Account, needs: NodeShare) -> bool:
        """Whether a call fits into what this node may use."""
        if account.lapses != self._nodes.lapses and not self._store.is_away:
            return False
        return not self._list_short(account, needs)

    def _list_short(self, account: _Account, needs: NodeShare) -> list[str]:
        uses = self._count(account)
        return [
            kind
            for kind, _ in account.list_most()
            if getattr(uses, kind) + getattr(needs, kind) > getattr(account.share, kind)
            # A call that costs nothing never breaks a budget.
            and getattr(needs, kind)
        ]

    def _take(self, claims: Sequence[Claim], accounts: Sequence[_Account], need: Need) -> Ticket:
        """Reserve in one step with the check. Raises `ShortOf`."""
        for account in accounts:
            if (lack := self._find_lack(account, need)) is not None:
                raise short_of(Refused(lack, {}))
        ours = [_share_claim(*each) for each in zip(claims, accounts, strict=True)]
        answer = self._balances.reserve(ours, need, whole=[each.limits for each in claims])
        if isinstance(answer, Refused):
            raise short_of(answer)
        for account in accounts:
            if account.counts_dollars:
                account.reserved += need.cost
            if self._monotonic() >= account.ahead_at and self._is_low(account):
                account.ahead_at = self._monotonic() + DENIED_S
                self._begin(self._borrow_ahead(account, day=need.day))
        return _NodeTicket(self._balances, answer, accounts, need)

    def _find_lack(self, account: _Account, need: Need) -> Shortage | None:
        """Why a call does not fit into the dollars that this node may spend."""
        uses = account.reserved + account.settled
        if (
            not need.cost
            or not account.counts_dollars
            or uses + need.cost <= account.share.nanodollars
        ):
            return None
        lent = account.lent
        return lack_dollars(
            account.key.holder,
            account.limits,
            need,
            spent_day=0 if lent is None else lent.spent_day,
            spent_month=0 if lent is None else lent.spent_month,
            held=uses + (0 if lent is None else lent.others.nanodollars),
            clock=self._clock,
        )

    def _is_low(self, account: _Account) -> bool:
        """Whether to borrow more before it is needed."""
        uses = self._count(account)
        return any(
            getattr(account.share, kind) < most
            and 2 * (getattr(account.share, kind) - getattr(uses, kind)) < count_chunk(most)
            for kind, most in account.list_most()
        )

    # ---- Borrowing ------------------------------------------------------------------------------

    async def _borrow_for(self, account: _Account, needs: NodeShare, *, day: int) -> bool:
        """Borrow what a call needs. Returns False if it cannot be had."""
        if self._monotonic() < account.denied_until and account.lapses == self._nodes.lapses:
            return False
        try:
            await self._borrow(account, needs, day=day)
            lent = account.lent
            if lent is not None and lent.lenders and self._list_short(account, needs):
                await self._recall(account, lent.lenders)
                await self._borrow(account, needs, day=day)
        except StoreUnavailable:
            self._go_on_alone(account)
        if self._list_short(account, needs):
            account.denied_until = self._monotonic() + DENIED_S
            return False
        return True

    async def _borrow_ahead(self, account: _Account, *, day: int) -> None:
        with contextlib.suppress(StoreUnavailable):
            await self._borrow(account, NodeShare(), day=day)

    async def _borrow(self, account: _Account, needs: NodeShare, *, day: int) -> None:
        """Change the share in the database, and then here. Raises `StoreUnavailable`."""
        async with account.lock:
            lapses = self._nodes.lapses
            if account.lapses == lapses and needs != NodeShare() and self._has_room(account, needs):
                # Another call has just borrowed.
                return
            if self._store.is_away:
                raise StoreUnavailable("the database is away")
            recorded = self._list_recorded(account)
            wish = self._wish(account, needs, recorded=recorded, day=day)
            if account.lapses != lapses:
                # Others may have what it had, or the limits are new ones.
                account.share = self._count(account)
                wish = msgspec.structs.replace(wish, has=NodeShare())
            lent = await self._nodes.allowances.borrow(wish)
            account.settled -= recorded
            account.share, account.lent, account.lapses = lent.share, lent, lapses

    def _wish(self, account: _Account, needs: NodeShare, *, recorded: int, day: int) -> ShareWish:
        has, uses = msgspec.structs.replace(account.share), self._count(account)
        has.nanodollars -= recorded
        uses.nanodollars -= recorded
        return ShareWish(
            holder=account.key.holder,
            holder_id=account.key.id,
            organization_id=account.key.organization_id,
            limits=account.limits,
            has=has,
            uses=uses,
            needs=needs,
            day=day,
        )

    def _list_recorded(self, account: _Account) -> int:
        """What was spent and is on record when the writer comes to the next action.

        A call is settled after it was recorded, unless its record waits in the spool.
        """
        spool = self._store.spool
        return account.settled if spool is None or spool.count == 0 else 0

    def _go_on_alone(self, account: _Account) -> None:
        """The database is away, so nobody can borrow. What was borrowed is used on.

        What was not borrowed yet is divided by the number of nodes. Raises `StoreUnavailable` if
        what was spent is not known.
        """
        if account.lapses >= 0 or account.share != NodeShare():
            return
        if account.counts_dollars:
            raise StoreUnavailable(
                "What was spent cannot be read, because the database is away: try again later."
            )
        nodes = max(1, sum(each.is_alive for each in self._nodes.list()))
        for kind, most in account.list_most():
            setattr(account.share, kind, max(1, most // nodes))

    async def _recall(self, account: _Account, lenders: Sequence[str]) -> None:
        """Let others give back what they do not use, and wait for it a little."""
        account.missing, account.returned = {*lenders}, asyncio.Event()
        self._nodes.tell(RECALL, msgspec.msgpack.encode(account.key))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(account.returned.wait(), RETURNED_WITHIN_S)

    def _hear_recall(self, body: bytes) -> bytes:
        self._begin(self._return(msgspec.msgpack.decode(body, type=_Key)))
        return b""

    async def _return(self, key: _Key) -> None:
        account = self._accounts.get(key)
        if account is not None and account.lapses >= 0:
            with contextlib.suppress(StoreUnavailable):
                await self._give_back(account, keeps=2)
        told = _Returned(key, self._nodes.id)
        self._nodes.tell(RETURNED, msgspec.msgpack.encode(told))

    def _hear_returned(self, body: bytes) -> bytes:
        told = msgspec.msgpack.decode(body, type=_Returned)
        account = self._accounts.get(told.key)
        if account is not None:
            account.missing.discard(told.node_id)
            if not account.missing:
                account.returned.set()
        return b""

    async def _give_back(self, account: _Account, *, keeps: int) -> None:
        """Give back what is not used, or keep such a part of it, if that is not 0."""
        async with account.lock:
            uses, before = self._count(account), account.share
            account.share = NodeShare()
            for kind in KINDS:
                free = max(0, getattr(before, kind) - getattr(uses, kind))
                # At least what is used, even if it is more than there was room for.
                setattr(account.share, kind, getattr(uses, kind) + (free // keeps if keeps else 0))
            recorded = self._list_recorded(account)
            day = self._clock() - self._clock() % DAY_US
            wish = self._wish(account, NodeShare(), recorded=recorded, day=day)
            await self._nodes.allowances.keep_only(wish)
            account.settled -= recorded
            account.share.nanodollars -= recorded

    def _sweep(self) -> None:
        """Give back what has not been used for long."""
        now = self._monotonic()
        if now < self._sweep_at or self._store.is_away:
            return
        self._sweep_at = now + SWEPT_EVERY_S
        for account in [*self._accounts.values()]:
            uses = self._count(account)
            uses.nanodollars -= self._list_recorded(account)
            is_idle = now - account.used_at > IDLE_S and uses == NodeShare()
            if is_idle and not account.lock.locked():
                del self._accounts[account.key]
                self._nodes.allowances.forget(self._wish(account, NodeShare(), recorded=0, day=0))

    def _answer_use(self, body: bytes) -> bytes:
        return msgspec.msgpack.encode(self._look(msgspec.msgpack.decode(body, type=_Key)))

    def _begin(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class _NodeTicket:
    """A hold of this node."""

    def __init__(
        self, balances: Balances, granted: Granted, accounts: Sequence[_Account], need: Need
    ) -> None:
        self._balances = balances
        self._hold = granted.hold
        self._accounts = accounts
        self._need = need
        self.headers = granted.headers

    def settle(self, *, tokens: int, cost: int) -> None:
        self._balances.settle(self._hold, tokens=tokens, cost=0)
        for account in self._accounts:
            if account.counts_dollars:
                account.reserved -= self._need.cost
                account.settled += cost


def _share_claim(claim: Claim, account: _Account) -> Claim:
    """A claim to what this node may use. Dollars are counted apart."""
    limits, share = claim.limits, account.share
    return msgspec.structs.replace(
        claim,
        limits=Limits(
            requests_per_minute=None if limits.requests_per_minute is None else share.requests,
            tokens_per_minute=None if limits.tokens_per_minute is None else share.tokens,
            calls_in_flight=None if limits.calls_in_flight is None else share.calls,
        ),
    )


def _least(*dollars: float | None) -> int | None:
    """The least of some limits in units of 1e-9 US dollars. None if there is none."""
    return min((round(each * NANO) for each in dollars if each is not None), default=None)
