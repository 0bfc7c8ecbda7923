"""Checkpoints off the answer's path: in a thread and on a connection of their own."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from pathlib import Path

from briggs.storage import sqlite
from briggs.storage.sqlite import WriteAheadLog

logger = logging.getLogger(__name__)

EVERY_BYTES = 8 * 1024 * 1024
PAUSE_S = 0.005
FEW_PAGES = 500
"""So few are moved within milliseconds, on the answer's path if need be."""


class Checkpointer:
    """Moves pages from the log to the database whenever it is woken.

    SQLite before 3.51.3 can damage a database when a checkpoint begins while everything is
    already moved, and the log starts anew at that very moment
    (https://www.sqlite.org/wal.html#walresetbug, read 2026-11). So none begins while nothing
    is left to move; and while something is, the log cannot start anew.
    """

    def __init__(self, *, path: Path, log: WriteAheadLog, wal_bytes_max: int) -> None:
        self.failure: str | None = None
        """Why the last checkpoint failed, if it did."""
        self.passes = 0
        self._path = path
        self._log = log
        self._wal_bytes_max = wal_bytes_max
        self._seen_bytes = 0
        # Held while a checkpoint runs, of this thread or of the writer.
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="briggs-checkpoints", daemon=True)
        self._thread.start()

    def watch(self) -> None:
        """Wake the thread when the log has grown enough since it was last woken."""
        used = self._log.used_bytes
        if used < self._seen_bytes:
            self._seen_bytes = 0
        step = EVERY_BYTES if used < self._wal_bytes_max // 2 else EVERY_BYTES // 8
        if used - self._seen_bytes >= min(step, self._wal_bytes_max // 16):
            self._seen_bytes = used
            self._wake.set()

    @property
    def is_nearly_done(self) -> bool:
        """Whether the writer could move the rest itself without anybody noticing."""
        return self._log.pages_left <= FEW_PAGES and not self._lock.locked()

    def finish(self, connection: sqlite3.Connection) -> bool:
        """Move the rest, on the writer's connection and in its thread, so that no one writes.

        False where a reader still needs the log as it is.
        """
        with self._lock:
            connection.execute("PRAGMA busy_timeout = 10")
            done = sqlite.checkpoint(connection, "RESTART")
            connection.execute(f"PRAGMA busy_timeout = {int(sqlite.BUSY_TIMEOUT_S * 1000)}")
            return done

    def close(self) -> None:
        self._closing = True
        self._wake.set()
        self._thread.join()

    def _run(self) -> None:
        connection = sqlite.open_checkpointer(self._path)
        try:
            while True:
                self._wake.wait()
                self._wake.clear()
                if self._closing:
                    return
                with self._lock:
                    if self._log.pages_left:
                        self._checkpoint(connection)
                # A reader can keep pages from being moved. Trying harder does not help.
                time.sleep(PAUSE_S)
        finally:
            connection.close()

    def _checkpoint(self, connection: sqlite3.Connection) -> None:
        try:
            sqlite.checkpoint(connection, "PASSIVE")
            # SQLite waits for the disk only when everything is moved, which is when the
            # writer would wait too. What is on the disk by then, it need not wait for.
            self._log.flush_database()
        except (sqlite3.Error, OSError) as error:
            # Nothing is lost: the log keeps what could not be moved, and the writer stops
            # at the log's limit if it stays so.
            self.failure = sqlite.store_failure(error) or str(error)
            logger.warning("a checkpoint failed, and will be tried again: %s", self.failure)
            return
        self.passes += 1
        self.failure = None
