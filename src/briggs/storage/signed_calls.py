"""Finds the completion that made a tool call which its vendor signed, by the call's id."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from sqlalchemy import Connection, func, select

from briggs.storage import sqlite
from briggs.storage.bodies import ZSTD, Bodies
from briggs.storage.sqlite import storable
from briggs.storage.tables import completions, signed_calls

T = TypeVar("T")

RESPONSE_BYTES_MAX = 256 * 1024
"""Stored answers larger than this are not read for their signatures."""


def create(
    connection: Connection, *, organization_id: str, completion_id: str, call_ids: Sequence[str]
) -> None:
    """Store which completion made these calls."""
    sqlite.driver(connection).executemany(
        _INSERT_SQL,
        [
            (storable(organization_id), storable(id), storable(completion_id))
            for id in dict.fromkeys(call_ids)
        ],
    )


def exist(connection: Connection) -> bool:
    """Whether this database has any signed calls."""
    return connection.execute(select(signed_calls.c.call_id).limit(1)).first() is not None


def read_responses(
    connection: Connection,
    *,
    organization_id: str,
    call_ids: Sequence[str],
    read: Callable[[bytes], T],
    bodies: Bodies,
) -> list[T]:
    """Apply `read` to the newest answer that made each call. Oldest of these answers first."""
    # Our ids sort by time, so the greatest id is that of the newest completion.
    made = connection.scalars(
        select(func.max(signed_calls.c.completion_id))
        .where(
            signed_calls.c.organization_id == storable(organization_id),
            signed_calls.c.call_id.in_([storable(id) for id in call_ids]),
        )
        .group_by(signed_calls.c.call_id)
    ).all()
    if not made:
        return []
    columns = completions.c
    rows: Sequence[Any] = connection.execute(
        select(columns.created_at, columns.id, columns.encoding, columns.response).where(
            columns.id.in_(made), func.length(columns.response) <= RESPONSE_BYTES_MAX
        )
    ).all()
    return [
        read(bodies.expand(row.response) if row.encoding == ZSTD else row.response)
        for row in sorted(rows, key=lambda row: (row.created_at, row.id))
    ]


def delete(connection: Connection, *, completion_id: str) -> None:
    """Delete the calls of a completion."""
    connection.execute(
        signed_calls.delete().where(signed_calls.c.completion_id == storable(completion_id))
    )


_INSERT_SQL = sqlite.insert_missing_sql(signed_calls)
