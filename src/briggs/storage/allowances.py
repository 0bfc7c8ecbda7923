"""How much of its limits each node may use by itself, so that no call has to ask the others.

A node borrows a part of a limit, and uses it without asking again. All parts together, and in
dollars what is on record too, are never more than the limit. What a dead node had borrowed counts
until all that it can have used is out of every window.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
from sqlalchemy import ColumnElement, Connection, and_, delete, select

from briggs.storage import spending
from briggs.storage.access import Access
from briggs.storage.database import OwnNode
from briggs.storage.tables import allowances
from briggs.types.limits import NANO, Holder, Limits, list_days

WINDOW_S = 60
CHUNKS = 8
"""A node borrows such a part of a limit in addition to what it needs."""


class NodeShare(msgspec.Struct, kw_only=True):
    """What one node may use of the limits of one holder, or what it uses. Without a limit, 0."""

    requests: int = 0
    tokens: int = 0
    calls: int = 0
    nanodollars: int = 0


KINDS = NodeShare.__struct_fields__


class ShareWish(msgspec.Struct, kw_only=True, frozen=True):
    """What a node wants to borrow for one holder."""

    holder: Holder
    holder_id: str
    organization_id: str
    limits: Limits
    has: NodeShare
    """What it may use already. It keeps that."""
    uses: NodeShare
    needs: NodeShare
    """What it wants to use in addition to what it uses."""
    day: int
    """The day that dollars are spent on: the time of its beginning, in Unix microseconds."""


class Lent(msgspec.Struct, kw_only=True, frozen=True):
    """What a node may use from now on."""

    share: NodeShare
    others: NodeShare
    """What all other nodes may use."""
    lenders: Sequence[str]
    """The ids of those nodes."""
    spent_day: int
    spent_month: int


class Allowances:
    """`store.allowances`, of one node."""

    def __init__(self, access: Access, *, member: OwnNode) -> None:
        self._access = access
        self._member = member

    async def borrow(self, wish: ShareWish) -> Lent:
        """Borrow what is needed and some more. What cannot be had is not had in part.

        Raises `StoreUnavailable`.
        """
        return await self._access.act(lambda connection: _borrow(connection, wish, self._member))

    async def keep_only(self, wish: ShareWish) -> None:
        """Give back all but what this node `has`. Raises `StoreUnavailable`."""
        await self._access.act(lambda connection: _put(connection, wish, wish.has, self._member))

    def forget(self, wish: ShareWish) -> None:
        """Give back everything, soon."""
        self._access.act_later(lambda connection: _put(connection, wish, NodeShare(), self._member))


def count_chunk(most: int) -> int:
    """How much more than it needs a node borrows, at most."""
    return max(1, most // CHUNKS)


def list_dollars(limits: Limits, *, spent_day: int, spent_month: int) -> Iterator[tuple[int, int]]:
    """Each limit in dollars, and what is left of it after what is on record. In units of 1e-9."""
    for dollars, spent in (
        (limits.dollars_per_day, spent_day),
        (limits.dollars_per_month, spent_month),
    ):
        if dollars is not None:
            most = round(dollars * NANO)
            yield most, most - spent


def forget_old(connection: Connection, *, member: OwnNode) -> None:
    """Delete what nodes had borrowed that are gone for longer than any window."""
    recent = member.list_recent(connection, within_s=WINDOW_S)
    connection.execute(delete(allowances).where(allowances.c.node_id.not_in(recent)))


def _borrow(connection: Connection, wish: ShareWish, member: OwnNode) -> Lent:
    recent = member.list_recent(connection, within_s=WINDOW_S)
    rows = connection.execute(select(allowances).where(_is_of(wish))).all()
    others = [each for each in rows if each.node_id in recent and each.node_id != member.id]
    had_share = any(each.node_id == member.id for each in rows)
    spent_day, spent_month = _read_spent(connection, wish)
    lent = NodeShare(**{kind: sum(getattr(each, kind) for each in others) for kind in KINDS})
    share = NodeShare()
    for kind, most, left in _list_left(wish.limits, spent_day=spent_day, spent_month=spent_month):
        part = _divide(
            left - getattr(lent, kind),
            uses=getattr(wish.uses, kind),
            needs=getattr(wish.needs, kind),
            has=getattr(wish.has, kind) if had_share else 0,
            nodes=len(others) + 1,
            chunk=count_chunk(most),
        )
        setattr(share, kind, part)
    _put(connection, wish, share, member)
    return Lent(
        share=share,
        others=lent,
        lenders=[each.node_id for each in others],
        spent_day=spent_day,
        spent_month=spent_month,
    )


def _list_left(
    limits: Limits, *, spent_day: int, spent_month: int
) -> Iterator[tuple[str, int, int]]:
    """Each kind that is limited: the limit, and what is left for all nodes together."""
    for kind, most in (
        ("requests", limits.requests_per_minute),
        ("tokens", limits.tokens_per_minute),
        ("calls", limits.calls_in_flight),
    ):
        if most is not None:
            yield kind, most, most
    dollars = [*list_dollars(limits, spent_day=spent_day, spent_month=spent_month)]
    if dollars:
        yield "nanodollars", min(most for most, _ in dollars), min(left for _, left in dollars)


def _divide(left: int, *, uses: int, needs: int, has: int, nodes: int, chunk: int) -> int:
    """How much of what the others leave a node may use from now on."""
    wanted = uses + needs
    part = min(uses, max(0, left))
    if left >= wanted:
        part = wanted + min((left - wanted) // nodes, chunk)
    # Calls of this node may be taking what it has at this moment.
    return max(part, min(has, max(0, left)))


def _read_spent(connection: Connection, wish: ShareWish) -> tuple[int, int]:
    """What the holder has spent on the day of the wish, and in its month."""
    if wish.limits.dollars_per_day is None and wish.limits.dollars_per_month is None:
        return 0, 0
    days = spending.read_days(
        connection,
        wish.holder,
        wish.holder_id,
        organization_id=wish.organization_id,
        days=list_days(wish.day),
    )
    return days.get(wish.day, 0), sum(days.values())


def _put(connection: Connection, wish: ShareWish, share: NodeShare, member: OwnNode) -> None:
    ours = allowances.c.node_id == member.id
    connection.execute(delete(allowances).where(_is_of(wish), ours))
    row = {
        "organization_id": wish.organization_id,
        "holder": wish.holder,
        "holder_id": wish.holder_id,
        "node_id": member.id,
        **msgspec.structs.asdict(share),
    }
    if share != NodeShare():
        connection.execute(allowances.insert().values(row))


def _is_of(wish: ShareWish) -> ColumnElement[bool]:
    columns = allowances.c
    return and_(
        columns.organization_id == wish.organization_id,
        columns.holder == wish.holder,
        columns.holder_id == wish.holder_id,
    )
