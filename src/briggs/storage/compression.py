"""Decides when bodies are compressed: small ones when written, large ones in idle moments."""

from __future__ import annotations

import logging
import time
from typing import Any

from sqlalchemy import Connection, func, select

from briggs.storage.bodies import Bodies
from briggs.storage.database import database_of
from briggs.storage.histories import Packing
from briggs.storage.previews import encode_preview
from briggs.storage.tables import IS_UNCOMPRESSED, completions

logger = logging.getLogger(__name__)

ROWS_MAX = 32
BYTES_MAX = 32 * 1024
"""This much takes one or two ms, which is how long a call may have to wait for it."""

AT_ONCE_BYTES_MAX = 64 * 1024
"""For a whole record. Writing so little twice costs more than compressing it at once."""

UNCOMPRESSED_MAX = 20_000
"""Above this many, compression no longer waits for an idle moment."""

EVERY_S = 0.02
"""How often to compress when there is no idle moment."""

RETRY_S = 60.0


class Compression:
    """Tracks what is left to compress, and when. Belongs to the writer's thread."""

    def __init__(self, connection: Connection, *, bodies: Bodies, wanted: bool) -> None:
        self.left = count_uncompressed(connection)
        """How many settled completions still have uncompressed bodies."""
        self._connection = connection
        self._bodies = bodies
        self._wanted = wanted
        self._at = 0.0

    def begin(self) -> Packing:
        """What packs the bodies that are written in one transaction."""
        return Packing(self._connection, bodies=self._bodies)

    def is_at_once(self, size: int) -> bool:
        """Whether the bodies of a settled record are packed when it is written."""
        return self._wanted and size <= AT_ONCE_BYTES_MAX

    @property
    def waits(self) -> bool:
        """Whether there is work for an idle moment."""
        return self._wanted and self.left > 0

    def go_on(self, *, idle: bool) -> bool:
        """Compress a few bodies if it is time. Returns whether it was.

        An error is raised, and leaves the bodies uncompressed, to be tried again later.
        """
        is_time = idle or self.left >= UNCOMPRESSED_MAX
        if not self.waits or not is_time or time.monotonic() < self._at:
            return False
        self._at = time.monotonic() + RETRY_S
        done = compress_some(self._connection, bodies=self._bodies)
        self.left = max(0, self.left - done) if done else 0
        self._at = 0.0 if idle else time.monotonic() + EVERY_S
        return True


def count_uncompressed(connection: Connection) -> int:
    """Count the settled completions that wait for compression."""
    return connection.execute(
        select(func.count()).select_from(completions).where(IS_UNCOMPRESSED)
    ).scalar_one()


def compress_some(connection: Connection, *, bodies: Bodies) -> int:
    """Compress a few of the oldest settled completions. Returns how many.

    All of it is one transaction, so that no other process changes them in between.
    """
    database = database_of(connection)
    try:
        with database.transaction(connection):
            packing = Packing(connection, bodies=bodies)
            compressed = [
                (
                    *(
                        None
                        if body is None
                        else packing.pack(body, organization_id=row.organization_id)
                        for body in (row.request, row.response, row.received)
                    ),
                    encode_preview(row.request, row.response),
                    row.organization_id,
                    row.id,
                )
                for row in _read_some(connection)
            ]
            if compressed:
                packing.write()
                database.replace_bodies(connection, compressed)
    except BaseException:
        database.remembered.clear()
        raise
    return len(compressed)


_COLUMNS = completions.c
_OLDEST = (
    select(
        *(_COLUMNS.organization_id, _COLUMNS.id),
        *(_COLUMNS.request, _COLUMNS.response, _COLUMNS.received),
    )
    .where(IS_UNCOMPRESSED)
    .order_by(_COLUMNS.organization_id, _COLUMNS.created_at)
    .limit(ROWS_MAX)
)


def _read_some(connection: Connection) -> list[Any]:
    """Read at least one row, so that a large one is not left for ever."""
    rows = []
    size = 0
    with database_of(connection).stream(connection, _OLDEST) as result:
        for row in result:
            rows.append(row)
            size += len(row.request) + len(row.response or b"") + len(row.received or b"")
            if size > BYTES_MAX:
                break
    return rows
