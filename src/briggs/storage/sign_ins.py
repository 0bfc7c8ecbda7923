"""Stores browser sessions and sign-in links, by the hashes of their secrets."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, and_, select

from briggs.storage import rows
from briggs.storage.access import Access
from briggs.storage.tables import keys, sign_ins
from briggs.types.completions import current_time_us
from briggs.types.keys import Key
from briggs.types.sign_ins import SignIn, SignInKind


class SignIns:
    """`store.sign_ins`. Whatever is over is deleted when its organization gets another."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def create(self, sign_in: SignIn, *, kept_max: int) -> None:
        """Store one. Of its kind, its key keeps the newest `kept_max`."""
        await self._access.act(lambda connection: _create(connection, sign_in, kept_max=kept_max))

    async def find_key(self, hash: bytes, *, kind: SignInKind, organization_id: str) -> Key | None:
        """The key that is signed in. None if there is no such sign-in, or it is over."""
        this = _is_valid(hash, kind=kind, organization_id=organization_id)
        return await self._access.read(lambda connection: _find_key(connection, this))

    async def take(self, hash: bytes, *, kind: SignInKind, organization_id: str) -> Key | None:
        """Use one up, and return its key. Of several who try, one gets it, and others None."""
        this = _is_valid(hash, kind=kind, organization_id=organization_id)
        # Whoever only guesses keeps the writer from nothing.
        if await self._access.read(lambda connection: _find_key(connection, this)) is None:
            return None
        return await self._access.act(lambda connection: _take(connection, this))

    async def delete(self, hash: bytes, *, organization_id: str) -> None:
        """End one."""
        this = sign_ins.delete().where(
            sign_ins.c.organization_id == organization_id, sign_ins.c.hash == hash
        )
        await self._access.act(lambda connection: connection.execute(this))

    async def delete_all(self, key_id: str, *, organization_id: str) -> None:
        """End all of a key: its sessions, and its links that were not used yet."""
        await self._access.act(
            lambda connection: delete_sign_ins(connection, key_id, organization_id=organization_id)
        )


def delete_sign_ins(connection: Connection, key_id: str, *, organization_id: str) -> None:
    """End all of a key, in the transaction that revokes it."""
    ours = (sign_ins.c.organization_id == organization_id, sign_ins.c.key_id == key_id)
    connection.execute(sign_ins.delete().where(*ours))


def _is_valid(
    hash: bytes, *, kind: SignInKind, organization_id: str
) -> Sequence[ColumnElement[bool]]:
    return (
        sign_ins.c.organization_id == organization_id,
        sign_ins.c.hash == hash,
        sign_ins.c.kind == kind,
        sign_ins.c.expires_at > current_time_us(),
    )


def _create(connection: Connection, sign_in: SignIn, *, kept_max: int) -> None:
    ours = sign_ins.c.organization_id == sign_in.organization_id
    over = sign_ins.c.expires_at <= current_time_us()
    connection.execute(sign_ins.delete().where(ours, over))
    alike = (ours, sign_ins.c.key_id == sign_in.key_id, sign_ins.c.kind == sign_in.kind)
    times = select(sign_ins.c.created_at).where(*alike).order_by(sign_ins.c.created_at.desc())
    oldest = connection.scalar(times.offset(kept_max - 1).limit(1))
    if oldest is not None:
        connection.execute(sign_ins.delete().where(*alike, sign_ins.c.created_at <= oldest))
    connection.execute(sign_ins.insert().values(rows.encode(sign_in, table=sign_ins)))


def _find_key(connection: Connection, this: Sequence[ColumnElement[bool]]) -> Key | None:
    is_its_key = and_(
        keys.c.id == sign_ins.c.key_id, keys.c.organization_id == sign_ins.c.organization_id
    )
    row = connection.execute(select(keys).join(sign_ins, is_its_key).where(*this)).first()
    return None if row is None else rows.decode(row, Key)


def _take(connection: Connection, this: Sequence[ColumnElement[bool]]) -> Key | None:
    key = _find_key(connection, this)
    connection.execute(sign_ins.delete().where(*this))
    return key
