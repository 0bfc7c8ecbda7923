"""Stores API keys, and finds them by their hash."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, bindparam, select, update

from briggs.storage import rows
from briggs.storage.access import Access
from briggs.storage.database import database_of
from briggs.storage.sign_ins import delete_sign_ins
from briggs.storage.tables import keys, sign_ins
from briggs.types.keys import Key
from briggs.types.limits import Limits

TOUCHED_EVERY_S = 5.0


class Keys:
    """`store.keys`. Uses are noted in memory, and written together every few seconds."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._changes = 0
        self._used: dict[str, int] = {}
        self._timer: asyncio.TimerHandle | None = None

    @property
    def version(self) -> int:
        """Changes when keys may have changed: at once here, within a second by other processes."""
        return self._changes + self._access.foreign_changes

    def forget(self) -> None:
        """Note that another process has changed keys."""
        self._changes += 1

    async def create(self, key: Key) -> None:
        """Store a key."""
        await self._access.act(lambda connection: _create(connection, key=key))
        self._changes += 1

    async def list(self, *, organization_id: str) -> Sequence[Key]:
        """The keys of an organization, oldest first."""
        return await self._access.read(
            lambda connection: _list(connection, organization_id=organization_id)
        )

    async def find(self, hash: bytes) -> Key | None:
        """Find a key by its secret's hash. It may be cached until `version` changes."""
        return await self._access.read(lambda connection: _find(connection, hash=hash))

    async def retrieve(self, id: str) -> Key | None:
        """Find a key by its id, of whichever organization it is."""
        return await self._access.read(lambda connection: _retrieve(connection, id=id))

    async def limit(self, id: str, *, organization_id: str, limits: Limits | None) -> Key | None:
        """Replace the limits of a key of an organization. Returns it; None if there is none."""
        key = await self._access.act(
            lambda connection: _limit(
                connection, id=id, organization_id=organization_id, limits=limits
            )
        )
        self._changes += 1
        return key

    async def revoke(self, id: str, *, organization_id: str) -> bool:
        """Delete a key of an organization, so that its secret no longer works.

        Returns False if there is none.
        """
        revoked = await self._access.act(
            lambda connection: _revoke(connection, id=id, organization_id=organization_id)
        )
        self._changes += revoked
        return revoked

    async def revoke_all(self, *, organization_id: str) -> None:
        """Delete all keys of an organization."""
        await self._access.act(
            lambda connection: _revoke_all(connection, organization_id=organization_id)
        )
        self._changes += 1

    def touch(self, id: str, *, at: int) -> None:
        """Note that a key was used. It is written within a few seconds, with others."""
        self._used[id] = at
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(TOUCHED_EVERY_S, self.write_uses)

    def write_uses(self) -> None:
        """Write the noted uses now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        used, self._used = self._used, {}
        if used:
            self._access.act_later(lambda connection: _touch(connection, used=used))


def _create(connection: Connection, *, key: Key) -> None:
    database_of(connection).note_change(connection)
    connection.execute(keys.insert().values(rows.encode(key, table=keys)))


def _list(connection: Connection, *, organization_id: str) -> Sequence[Key]:
    ours = select(keys).where(keys.c.organization_id == organization_id)
    found = connection.execute(ours.order_by(keys.c.created_at, keys.c.id))
    return [rows.decode(row, Key) for row in found]


def _find(connection: Connection, *, hash: bytes) -> Key | None:
    row = connection.execute(select(keys).where(keys.c.hash == hash)).first()
    return None if row is None else rows.decode(row, Key)


def _retrieve(connection: Connection, *, id: str) -> Key | None:
    row = connection.execute(select(keys).where(keys.c.id == id)).first()
    return None if row is None else rows.decode(row, Key)


def _limit(
    connection: Connection, *, id: str, organization_id: str, limits: Limits | None
) -> Key | None:
    this = (keys.c.id == id) & (keys.c.organization_id == organization_id)
    database_of(connection).note_change(connection)
    connection.execute(update(keys).where(this).values(limits=limits))
    row = connection.execute(select(keys).where(this)).first()
    return None if row is None else rows.decode(row, Key)


def _revoke(connection: Connection, *, id: str, organization_id: str) -> bool:
    statement = keys.delete().where(keys.c.id == id, keys.c.organization_id == organization_id)
    database_of(connection).note_change(connection)
    delete_sign_ins(connection, id, organization_id=organization_id)
    return connection.execute(statement).rowcount > 0


def _revoke_all(connection: Connection, *, organization_id: str) -> None:
    database_of(connection).note_change(connection)
    for table in (sign_ins, keys):
        connection.execute(table.delete().where(table.c.organization_id == organization_id))


def _touch(connection: Connection, *, used: Mapping[str, int]) -> None:
    connection.execute(
        update(keys).where(keys.c.id == bindparam("which")).values(last_used_at=bindparam("at")),
        [{"which": id, "at": at} for id, at in used.items()],
    )
