"""Stores API keys, and finds them by their hash."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select, update

from briggs.storage.sqlite import original, storable
from briggs.storage.tables import keys
from briggs.types.keys import Key


def create(connection: Connection, *, key: Key) -> None:
    """Store a key."""
    connection.execute(
        keys.insert().values(
            id=storable(key.id),
            organization_id=storable(key.organization_id),
            name=storable(key.name),
            hash=key.hash,
            redacted_value=storable(key.redacted_value),
            created_at=key.created_at,
            last_used_at=key.last_used_at,
            scopes=",".join(key.scopes),
            expires_at=key.expires_at,
            task_id=None if key.task_id is None else storable(key.task_id),
        )
    )


def list_all(connection: Connection, *, organization_id: str) -> list[Key]:
    """The keys of an organization, oldest first."""
    ours = select(keys).where(keys.c.organization_id == storable(organization_id))
    rows = connection.execute(ours.order_by(keys.c.created_at, keys.c.id))
    return [_decode(row) for row in rows]


def find(connection: Connection, *, hash: bytes) -> Key | None:
    """Find the key whose secret has this hash."""
    row = connection.execute(select(keys).where(keys.c.hash == hash)).first()
    return None if row is None else _decode(row)


def revoke(connection: Connection, *, id: str, organization_id: str) -> bool:
    """Delete a key, so that its secret no longer works."""
    statement = keys.delete().where(
        keys.c.id == storable(id), keys.c.organization_id == storable(organization_id)
    )
    return connection.execute(statement).rowcount > 0


def touch(connection: Connection, *, used: Mapping[str, int]) -> None:
    """Store when keys were last used: Unix times in microseconds, by id."""
    connection.execute(
        update(keys).where(keys.c.id == bindparam("which")).values(last_used_at=bindparam("at")),
        [{"which": storable(id), "at": at} for id, at in used.items()],
    )


def _decode(row: Row[Any]) -> Key:
    values = {
        column.name: original(value, type=column.type.python_type)
        for column, value in zip(keys.columns, row, strict=True)
    }
    return Key(**{**values, "scopes": [name for name in values["scopes"].split(",") if name]})
