"""What keys, end users and organizations have spent, by day. Deleting a completion changes nothing.

The transaction that ends calls writes what they cost into `rollup_changes`. About once a second,
that is folded into this table. A reader adds both, so the sums are always those of the record.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, bindparam, delete, func, select, update

from briggs.storage.access import Access
from briggs.storage.database import database_of
from briggs.storage.tables import completions, rollup_changes, spending
from briggs.types.completions import Completion, current_time_us
from briggs.types.limits import DAY_US, NANO, Holder, list_days, mark_user
from briggs.types.rollups import COST_MAX_USD

DAYS_KEPT = 62
"""Two months. Older days are dropped."""

Item = tuple[str | None, str | None, int]
"""A key, the mark of an end user, and what their calls cost in units of 1e-9 US dollars."""


class Spending:
    """`store.spending`. All sums are in units of 1e-9 US dollars."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def read(
        self, holder: Holder, holder_id: str, *, organization_id: str, days: Collection[int]
    ) -> Mapping[int, int]:
        """What one holder spent on each of these days. A day is the Unix time of its beginning, in
        microseconds. Days without a cost are left out.
        """
        return await self._access.read(
            lambda connection: read_days(
                connection, holder, holder_id, organization_id=organization_id, days=days
            )
        )

    async def read_all(
        self, holder: Holder, *, organization_id: str, days: Collection[int]
    ) -> Mapping[str, Mapping[int, int]]:
        """What each holder of one kind spent on each of these days, by the holder's id."""
        return await self._access.read(
            lambda connection: _read(
                connection, holder, organization_id=organization_id, days=days, holder_id=None
            )
        )


class Costs:
    """What the calls of one change cost."""

    def __init__(self) -> None:
        self._items: dict[tuple[str | None, str | None], int] = {}

    def add(self, completion: Completion) -> None:
        """Add a call that has ended, if Briggs answered it and its cost is known."""
        cost = completion.cost_usd
        if cost and completion.source == "gateway" and 0 < cost <= COST_MAX_USD:
            user = mark_user(completion.user) if completion.user else None
            key = (_plain(completion.key_id), user)
            self._items[key] = self._items.get(key, 0) + round(cost * NANO)

    def encode(self) -> str | None:
        """JSON for the column `spent`; None if nothing was spent."""
        if not self._items:
            return None
        return _ENCODER.encode([(*key, cost) for key, cost in self._items.items()]).decode()


def fold(connection: Connection, changes: Iterable[Any]) -> None:
    """Add what these rows of `rollup_changes` say. In the transaction that deletes them."""
    sums: dict[_Key, int] = {}
    for row in changes:
        if row.spent is not None:
            day = row.begin_at - row.begin_at % DAY_US
            for item in _ITEMS.decode(row.spent):
                _count(sums, row.organization_id, day, item)
    if sums:
        add(connection, sums)
        _drop_old(connection, organization_ids={key[0] for key in sums})


def add(connection: Connection, sums: Mapping[_Key, int]) -> None:
    """Add to the table."""
    database_of(connection).insert_missing(connection, spending, [(*key, 0) for key in sums])
    names = [column.name for column in spending.primary_key]
    more = [
        {f"of_{name}": value for name, value in zip(names, key, strict=True)} | {"more": cost}
        for key, cost in sums.items()
    ]
    connection.execute(_ADD, more)


def fill(connection: Connection) -> None:
    """Count what the record says of this month. For a record from before there were such sums."""
    columns = completions.c
    day = (columns.created_at - columns.created_at % DAY_US).label("day")
    cost = columns.cost_usd
    grouped = (
        select(columns.organization_id, day, columns.key_id, columns.user, func.sum(cost))
        .where(
            columns.created_at >= list_days(current_time_us())[0],
            columns.source == "gateway",
            cost > 0,
            cost <= COST_MAX_USD,
        )
        .group_by(columns.organization_id, "day", columns.key_id, columns.user)
    )
    sums: dict[_Key, int] = {}
    for organization_id, begin_at, key_id, user, dollars in connection.execute(grouped):
        item = (key_id, mark_user(user) if user else None, round(dollars * NANO))
        _count(sums, organization_id, begin_at, item)
    if sums:
        add(connection, sums)


def _plain(id: str | None) -> str | None:
    """The id of a key, which can always be written as UTF-8 unless somebody made it up."""
    return None if id is None else id.encode(errors="replace").decode()


_Key = tuple[str, int, Holder, str]
"""The primary key: an organization, a day, and a holder with its id."""

_ENCODER = msgspec.json.Encoder()
_ITEMS = msgspec.json.Decoder(list[Item])
_ADD = (
    update(spending)
    .where(*(column == bindparam(f"of_{column.name}") for column in spending.primary_key))
    .values(cost_nanodollars=spending.c.cost_nanodollars + bindparam("more"))
)


def _count(sums: dict[_Key, int], organization_id: str, day: int, item: Item) -> None:
    key_id, user, cost = item
    holders: Sequence[tuple[Holder, str | None]] = (
        ("organization", organization_id),
        ("key", key_id),
        ("user", user),
    )
    for holder, id in holders:
        if id is not None:
            key = (organization_id, day, holder, id)
            sums[key] = sums.get(key, 0) + cost


def read_days(
    connection: Connection,
    holder: Holder,
    holder_id: str,
    *,
    organization_id: str,
    days: Collection[int],
) -> Mapping[int, int]:
    """As `Spending.read`, on a connection."""
    found = _read(
        connection, holder, organization_id=organization_id, days=days, holder_id=holder_id
    )
    return found.get(holder_id, {})


def _read(
    connection: Connection,
    holder: Holder,
    *,
    organization_id: str,
    days: Collection[int],
    holder_id: str | None,
) -> Mapping[str, dict[int, int]]:
    columns, changes = spending.c, rollup_changes.c
    conditions = [
        columns.organization_id == organization_id,
        columns.day.in_(days),
        columns.holder == holder,
    ]
    if holder_id is not None:
        conditions.append(columns.holder_id == holder_id)
    statement = select(columns.holder_id, columns.day, columns.cost_nanodollars).where(*conditions)
    waiting = select(changes.begin_at, changes.spent).where(
        changes.organization_id == organization_id, changes.spent.is_not(None)
    )
    found: dict[str, dict[int, int]] = {}
    with database_of(connection).snapshot(connection):
        for id, day, cost in connection.execute(statement):
            found.setdefault(id, {})[day] = cost
        sums: dict[_Key, int] = {}
        for begin_at, spent in connection.execute(waiting):
            for item in _ITEMS.decode(spent):
                _count(sums, organization_id, begin_at - begin_at % DAY_US, item)
    for (_, day, kind, id), cost in sums.items():
        if kind == holder and day in days and holder_id in (None, id):
            by_day = found.setdefault(id, {})
            by_day[day] = by_day.get(day, 0) + cost
    return found


def _drop_old(connection: Connection, *, organization_ids: Collection[str]) -> None:
    before = current_time_us() - DAYS_KEPT * DAY_US
    for each in organization_ids:
        old = (spending.c.organization_id == each) & (spending.c.day < before)
        connection.execute(delete(spending).where(old))
