"""SQLite's write-ahead log: how full it is, and moving its pages to the database."""

from __future__ import annotations

import mmap
import os
import sqlite3
import sys
from pathlib import Path
from typing import Literal

from sqlalchemy import Connection

_INDEX_VERSION = 3007000
_INDEX_HEADER_BYTES = 136
_FRAMES_AT = 16
_MOVED_AT = 96
_FRAME_HEADER_BYTES = 24


class WriteAheadLog:
    """How full the log is, read from its index in shared memory without a system call.

    The format is described in https://www.sqlite.org/walformat.html#the_wal_index_file_format.
    Closing any file of the database drops all locks that this process holds on it, also those of
    SQLite. So this is opened with the first connection and closed after the last one.
    """

    def __init__(self, path: Path, *, page_bytes: int) -> None:
        self.database = os.open(path, os.O_RDWR)
        self._index_file = os.open(f"{path}-shm", os.O_RDONLY)
        self._index = mmap.mmap(self._index_file, _INDEX_HEADER_BYTES, access=mmap.ACCESS_READ)
        self.page_bytes = page_bytes
        self._frame_bytes = page_bytes + _FRAME_HEADER_BYTES
        version = self._read(0)
        if version != _INDEX_VERSION:
            raise RuntimeError(f"SQLite's log has an index of version {version}, which is unknown")

    @property
    def pages_left(self) -> int:
        """How many pages of the log are not in the database yet."""
        return self._read(_FRAMES_AT) - self._read(_MOVED_AT)

    @property
    def used_bytes(self) -> int:
        """How much of the log's file is in use. Once all pages are moved, the log restarts."""
        return self._read(_FRAMES_AT) * self._frame_bytes if self.pages_left else 0

    def flush_database(self) -> None:
        """Wait until the moved pages are on the disk."""
        os.fdatasync(self.database)

    def close(self) -> None:
        self._index.close()
        os.close(self._index_file)
        os.close(self.database)

    def _read(self, offset: int) -> int:
        return int.from_bytes(self._index[offset : offset + 4], sys.byteorder)


def open_log(connection: Connection, *, path: Path) -> WriteAheadLog:
    """Open the log of the database that `connection` uses."""
    # Its index exists once something was read.
    connection.exec_driver_sql("SELECT count(*) FROM sqlite_master")
    page_bytes = connection.exec_driver_sql("PRAGMA page_size").scalar_one()
    return WriteAheadLog(path, page_bytes=page_bytes)


def checkpoint(
    connection: sqlite3.Connection, mode: Literal["PASSIVE", "RESTART", "TRUNCATE"]
) -> bool:
    """Move pages from the log to the database. Returns False if a reader prevented it.

    PASSIVE moves what it can while others write. RESTART moves everything, and lets the next
    transaction restart the log. TRUNCATE also empties the file.
    """
    return not connection.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()[0]
