"""Keeps in the database what each past hour has, so that it is not learnt again after a start.

An hour is noted as being read, read after that is committed, and then kept. A transaction that
changes completions of an hour deletes its row, whatever it says. So what was read is kept only if
nothing has changed since, whichever process changes it. What is kept is what the rows have.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Connection, bindparam, delete, insert, update

from briggs.storage.access import Access
from briggs.storage.database import database_of
from briggs.storage.hours import (
    HOUR_US,
    SETTLED_US,
    encode,
    list_hours,
    read_kept,
    read_zone,
)
from briggs.storage.tables import hours
from briggs.storage.types import AnyText
from briggs.types.completions import create_id, current_time_us

LISTED_AT_ONCE = 500
READ_AT_ONCE = 12
"""How many hours are read in one go. An hour may have tens of thousands of completions."""


class KeptHours:
    """`store.hours`."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def keep_some(self, *, organization_id: str, before: int | None = None) -> int | None:
        """Read the next few hours that are not kept, the newest first, and keep them.

        Returns the number of an hour before which there may be more, for the next step, or None.
        """
        settled = (current_time_us() - SETTLED_US) // HOUR_US
        end = settled if before is None else min(before, settled)
        chosen, place = await self._access.read(
            lambda connection: _choose(connection, organization_id=organization_id, before=end)
        )
        if not chosen:
            return place
        noted = [(organization_id, hour, create_id()) for hour in chosen]
        await self._access.act(lambda connection: _note(connection, noted))
        found = await self._access.read(
            lambda connection: _read(connection, chosen, organization_id=organization_id)
        )
        await self._access.act(lambda connection: _keep(connection, noted, found))
        return place


def forget(connection: Connection, changed: Iterable[tuple[str, int]]) -> None:
    """Delete what is kept of past hours whose completions this transaction changes."""
    present, last = current_time_us() // HOUR_US, database_of(connection).zones.last_kept
    # The clock may have been set back since an hour was kept.
    past = sorted(each for each in changed if each[1] < present or each[1] <= last)
    if past:
        rows = [{"organization": owner, "this": hour} for owner, hour in past]
        connection.execute(_DELETE, rows)


def forget_before(connection: Connection, *, organization_id: str, at: int) -> None:
    """Delete what is kept of the hours from before a time, and of the hour that it is in."""
    connection.execute(
        delete(hours).where(
            hours.c.organization_id == organization_id, hours.c.hour <= at // HOUR_US
        )
    )


def _choose(
    connection: Connection, *, organization_id: str, before: int
) -> tuple[list[int], int | None]:
    """Hours that are not kept, and where the next ones begin."""
    listed = list_hours(
        connection, organization_id=organization_id, begin=0, end=before, limit=LISTED_AT_ONCE
    )
    if not listed:
        return [], None
    kept = read_kept(connection, organization_id=organization_id, of=listed)
    chosen = [hour for hour in listed if hour not in kept][:READ_AT_ONCE]
    if len(chosen) == READ_AT_ONCE:
        return chosen, chosen[-1]
    return chosen, listed[-1] if len(listed) == LISTED_AT_ONCE else None


def _note(connection: Connection, noted: Sequence[tuple[str, int, str]]) -> None:
    """Note that these hours are being read. What others have noted of them is over."""
    zones = database_of(connection).zones
    zones.last_kept = max(zones.last_kept, *(hour for _, hour, _ in noted))
    connection.execute(_DELETE, [{"organization": owner, "this": hour} for owner, hour, _ in noted])
    rows = [
        {"organization_id": owner, "hour": hour, "token": token, "zone": None}
        for owner, hour, token in noted
    ]
    connection.execute(_INSERT, rows)


def _read(
    connection: Connection, chosen: Sequence[int], *, organization_id: str
) -> dict[int, bytes | None]:
    with database_of(connection).snapshot(connection):
        zones = {
            hour: read_zone(connection, organization_id=organization_id, hour=hour)
            for hour in chosen
        }
    return {hour: encode(zone) for hour, zone in zones.items() if zone is not None}


def _keep(
    connection: Connection,
    noted: Sequence[tuple[str, int, str]],
    found: Mapping[int, bytes | None],
) -> None:
    """Keep what was read of those hours that nothing has changed meanwhile."""
    rows = [
        {"organization": owner, "this": hour, "by": token, "content": content}
        for owner, hour, token in noted
        if (content := found.get(hour)) is not None
    ]
    if rows:
        connection.execute(_UPDATE, rows)


_ORGANIZATION = bindparam("organization", type_=AnyText)
_OURS = hours.c.organization_id == _ORGANIZATION
_THIS = (_OURS, hours.c.hour == bindparam("this"))
_DELETE = delete(hours).where(*_THIS)
_INSERT = insert(hours)
_UPDATE = (
    update(hours)
    .where(*_THIS, hours.c.token == bindparam("by", type_=AnyText))
    .values(zone=bindparam("content"))
)
