"""When bodies are compressed: small ones as they are written, large ones in idle moments."""

from __future__ import annotations

import logging
import time
from typing import Any

from sqlalchemy import Connection, func, select, text

from briggs.storage.bodies import Bodies
from briggs.storage.sqlite import COMPRESS_SQL, driver, transaction
from briggs.storage.tables import completions

logger = logging.getLogger(__name__)

ROWS_MAX = 32
BYTES_MAX = 32 * 1024
"""So much takes one or two ms, which is how long a call may have to wait for it."""

AT_ONCE_BYTES_MAX = 64 * 1024
"""Of a whole record. To write so little twice would cost more than to compress it at once."""

UNCOMPRESSED_MAX = 20_000
"""Past this many, compression does not wait for an idle moment."""

EVERY_S = 0.02
"""How often it goes on where no idle moment comes."""

RETRY_S = 60.0


class Compression:
    """What is left to compress, and when to go on. Belongs to the writer's thread."""

    def __init__(self, connection: Connection, *, bodies: Bodies, wanted: bool) -> None:
        self.left = count_uncompressed(connection)
        """How many settled completions have their bodies as received."""
        self._connection = connection
        self._bodies = bodies
        self._wanted = wanted
        self._at = 0.0

    def take(self, *, size: int, started: bool) -> Bodies | None:
        """What compresses a row that is about to be written; None if that is for later."""
        small = self._wanted and not started and size <= AT_ONCE_BYTES_MAX
        return self._bodies if small else None

    def is_left(self, *, size: int, started: bool) -> bool:
        """Whether a row was written that is to be compressed later."""
        return not started and self.take(size=size, started=started) is None

    @property
    def waits(self) -> bool:
        """Whether an idle moment would be of use."""
        return self._wanted and self.left > 0

    def go_on(self, *, idle: bool) -> bool:
        """Compress a few if it is time to, and say whether it was.

        A failure is raised and leaves the bodies as they are, to be tried again later.
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
    """How many settled completions wait for compression."""
    return connection.execute(
        select(func.count()).select_from(completions).where(_UNCOMPRESSED)
    ).scalar_one()


def compress_some(connection: Connection, *, bodies: Bodies) -> int:
    """Compress the oldest settled completions, a few at once, and say how many it were.

    The work is done before the transaction begins, so that the transaction is short; only
    the thread that calls this writes, so that nothing changes in between.
    """
    compressed = [
        (
            bodies.compress(row.request),
            None if row.response is None else bodies.compress(row.response),
            None if row.received is None else bodies.compress(row.received),
            row.id,
        )
        for row in _read_some(connection)
    ]
    if compressed:
        with transaction(connection):
            driver(connection).executemany(COMPRESS_SQL, compressed)
    return len(compressed)


# The very words of the partial index, or SQLite does not use it.
_UNCOMPRESSED = text("encoding = 0 AND status <> 'started'")
_OLDEST = (
    select(completions.c.id, completions.c.request, completions.c.response, completions.c.received)
    .where(_UNCOMPRESSED)
    .order_by(completions.c.organization_id, completions.c.created_at)
    .limit(ROWS_MAX)
)


def _read_some(connection: Connection) -> list[Any]:
    """At least one, so that a large one is not left for ever."""
    rows = []
    size = 0
    with connection.execute(_OLDEST) as result:
        for row in result:
            rows.append(row)
            size += len(row.request) + len(row.response or b"") + len(row.received or b"")
            if size > BYTES_MAX:
                break
    return rows
