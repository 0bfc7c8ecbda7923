"""Says what it takes to write a large table anew, and how far it is."""

from __future__ import annotations

import logging
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection

from briggs.storage.sqlite.connections import driver
from briggs.types.errors import StoreUnavailable

logger = logging.getLogger(__name__)

LARGE_BYTES = 256 * 1024 * 1024
"""Smaller databases are rewritten within seconds."""

BYTES_PER_S = 20_000_000
"""Measured with a million completions: see `docs/store.md`."""

ROOM = 3
"""How many times the database's size is needed: the log has the new table and the old one, which is
overwritten, and then the database grows by the new one."""

LOG_SHARE = 1.8
"""How large the log is at the end, by the database's size."""

TELL_EVERY_S = 15.0
STEPS = 1_000_000
"""How many of SQLite's steps pass between two looks at the clock: a fraction of a second."""


@contextmanager
def rewriting(connection: Connection, table: str) -> Iterator[None]:
    """Tell of a block that writes the largest table anew, if that takes long.

    Raises `StoreUnavailable` if the disk has no room for it.
    """
    inner = driver(connection)
    path = Path(inner.execute("PRAGMA database_list").fetchone()[2])
    size = _measure(inner)
    free = shutil.disk_usage(path.parent).free
    if free < ROOM * size:
        raise StoreUnavailable(
            f"{path} has to be brought up to date, which needs {_gigabytes(ROOM * size)} of free "
            f"disk, and {_gigabytes(free)} are free: make room and start again. Nothing was changed"
        )
    if size < LARGE_BYTES:
        yield
        return
    logger.warning(
        "%s is brought up to date: the table %s, with most of %s, is written anew. This takes "
        "about %s and up to %s of disk, of which %s are free. If you stop it, it begins again.",
        *(path, table, _gigabytes(size), _minutes(size / BYTES_PER_S)),
        *(_gigabytes(ROOM * size), _gigabytes(free)),
    )
    progress = _Progress(path.with_name(f"{path.name}-wal"), bytes_at_end=int(LOG_SHARE * size))
    inner.set_progress_handler(progress.tell, STEPS)
    try:
        yield
    finally:
        inner.set_progress_handler(None, 0)


class _Progress:
    """How far a table is, by what is in the log."""

    def __init__(self, log: Path, *, bytes_at_end: int) -> None:
        self._log = log
        self._bytes_at_end = bytes_at_end
        self._begun_at = self._told_at = time.monotonic()

    def tell(self) -> int:
        """Called by SQLite. It goes on."""
        now = time.monotonic()
        if now - self._told_at >= TELL_EVERY_S:
            self._told_at = now
            share = min(0.99, self._log.stat().st_size / self._bytes_at_end)
            left_s = (now - self._begun_at) * (1 - share) / max(share, 0.01)
            logger.warning("%.0f %% is done, about %s are left.", share * 100, _minutes(left_s))
        return 0


def _measure(inner: sqlite3.Connection) -> int:
    """The bytes of the database that are in use."""
    values = (
        inner.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("page_count", "freelist_count", "page_size")
    )
    count, unused, page_bytes = values
    return int((count - unused) * page_bytes)


def _gigabytes(size: float) -> str:
    return f"{size / 1e9:,.1f} GB"


def _minutes(seconds: float) -> str:
    return f"{max(1, round(seconds / 60))} min"
