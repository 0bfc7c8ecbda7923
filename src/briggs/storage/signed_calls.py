"""Finds the completion that made a tool call which its vendor signed, by the call's id."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

from sqlalchemy import Connection, bindparam, func, select
from sqlalchemy.exc import DBAPIError

from briggs.storage.access import Access
from briggs.storage.bodies import ZSTD, Bodies
from briggs.storage.database import database_of
from briggs.storage.pieces import read_rows
from briggs.storage.tables import completions, signed_calls
from briggs.types.completions import Completion
from briggs.types.errors import StoreUnavailable

logger = logging.getLogger(__name__)

T = TypeVar("T")

RESPONSE_BYTES_MAX = 256 * 1024
"""Stored answers larger than this are not read for their signatures."""


class SignedCalls:
    """`store.signed_calls`."""

    def __init__(self, access: Access, *, bodies: Bodies, exist: bool) -> None:
        self._access = access
        self._bodies = bodies
        self._exist = exist

    def create(self, completion: Completion, *, call_ids: Sequence[str]) -> None:
        """Note that a completion, which is settled next, made calls that its vendor signed."""
        organization_id, completion_id = completion.organization_id, completion.id
        self._access.act_later(
            lambda connection: _create(
                connection,
                organization_id=organization_id,
                completion_id=completion_id,
                call_ids=call_ids,
            )
        )
        self._exist = True

    async def read(
        self, call_ids: Sequence[str], *, organization_id: str, read: Callable[[bytes], T]
    ) -> list[T]:
        """Apply `read` to the newest answer that made each call. Oldest of these answers first.

        `read` runs in a reader's thread and must only compute. If no call was ever signed, nothing
        is looked up.
        """
        if not self._exist or not call_ids:
            return []
        try:
            return await self._access.read(
                lambda connection: _read_responses(
                    connection,
                    organization_id=organization_id,
                    call_ids=call_ids,
                    read=read,
                    bodies=self._bodies,
                )
            )
        except (DBAPIError, StoreUnavailable) as error:
            # A call must not fail for the lack of something optional.
            logger.warning("signatures could not be read: %s", error)
            return []


def exist(connection: Connection) -> bool:
    """Whether this database has any signed calls."""
    return connection.execute(select(signed_calls.c.call_id).limit(1)).first() is not None


def delete(connection: Connection, *, organization_id: str, completion_ids: Sequence[str]) -> None:
    """Delete the calls of some completions."""
    keys = [{"organization": organization_id, "completion": id} for id in completion_ids]
    connection.execute(_DELETE, keys)


_DELETE = signed_calls.delete().where(
    signed_calls.c.organization_id == bindparam("organization"),
    signed_calls.c.completion_id == bindparam("completion"),
)


def _create(
    connection: Connection, *, organization_id: str, completion_id: str, call_ids: Sequence[str]
) -> None:
    rows = [(organization_id, id, completion_id) for id in dict.fromkeys(call_ids)]
    database_of(connection).insert_missing(connection, signed_calls, rows)


def _read_responses(
    connection: Connection,
    *,
    organization_id: str,
    call_ids: Sequence[str],
    read: Callable[[bytes], T],
    bodies: Bodies,
) -> list[T]:
    # Our ids sort by time, so the greatest id is that of the newest completion.
    made = connection.scalars(
        select(func.max(signed_calls.c.completion_id))
        .where(
            signed_calls.c.organization_id == organization_id,
            signed_calls.c.call_id.in_(call_ids),
        )
        .group_by(signed_calls.c.call_id)
    ).all()
    if not made:
        return []
    columns = completions.c
    names = ("created_at", "id", "organization_id", "encoding", "response")
    statement = select(*(columns[name] for name in names)).where(
        columns.organization_id == organization_id,
        columns.id.in_(made),
        func.length(columns.response) <= RESPONSE_BYTES_MAX,
    )
    rows, pieces = read_rows(connection, statement, bodies=bodies)
    return [
        read(pieces.expand(row.response) if row.encoding == ZSTD else row.response)
        for row in sorted(rows, key=lambda row: (row.created_at, row.id))
    ]
