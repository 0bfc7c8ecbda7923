"""Runs SQLite's checkpoints in a thread of their own, so that answers do not wait for them."""

from __future__ import annotations

import fcntl
import logging
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from briggs.storage.sqlite import connections
from briggs.storage.sqlite.connections import open_checkpointer, set_busy_timeout
from briggs.storage.sqlite.failures import store_failure
from briggs.storage.sqlite.log import WriteAheadLog, checkpoint

logger = logging.getLogger(__name__)

EVERY_BYTES = 8 * 1024 * 1024
PAUSE_S = 0.005
FEW_PAGES = 500
"""So few pages are moved within milliseconds, so an answer may wait for them."""


class Checkpointer:
    """Moves pages from the log to the database whenever it is woken.

    Several processes may have the database open. Then a lock on its folder keeps all but one of
    their checkpoints away, so that what follows holds for all of them.

    SQLite before 3.51.3 can damage a database if a checkpoint begins when all pages are already
    moved, and the log restarts at that very moment
    (https://www.sqlite.org/wal.html#walresetbug, read 2026-11). So no checkpoint begins unless
    there are pages to move, and while there are, the log cannot restart.
    """

    def __init__(
        self, *, path: Path, log: WriteAheadLog, wal_bytes_max: int, shared_lock: int | None = None
    ) -> None:
        self._shared_lock = shared_lock
        """A file of the folder, if other processes have the database open too."""
        self.failure: str | None = None
        """Why the last checkpoint failed; None if it did not."""
        self.passes = 0
        self._path = path
        self._log = log
        self._wal_bytes_max = wal_bytes_max
        self._seen_bytes = 0
        # Held during a checkpoint, by this thread or by the writer.
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="briggs-checkpoints", daemon=True)
        self._thread.start()

    def watch(self) -> None:
        """Wake the thread if the log has grown enough since it was last woken."""
        used = self._log.used_bytes
        if used < self._seen_bytes:
            self._seen_bytes = 0
        step = EVERY_BYTES if used < self._wal_bytes_max // 2 else EVERY_BYTES // 8
        if used - self._seen_bytes >= min(step, self._wal_bytes_max // 16):
            self._seen_bytes = used
            self._wake.set()

    @property
    def is_nearly_done(self) -> bool:
        """Whether the writer could move the rest itself without a noticeable delay."""
        return self._log.pages_left <= FEW_PAGES and not self._lock.locked()

    def hurry(self) -> None:
        """Wake the thread now."""
        self._wake.set()

    def finish(
        self, connection: sqlite3.Connection, mode: Literal["RESTART", "TRUNCATE"] = "RESTART"
    ) -> bool:
        """Move the rest, on the writer's connection and in its thread, so that nothing else writes.

        Returns False if a reader still needs the log as it is.
        """
        with self._lock, self._keep_others_away() as is_alone:
            if not is_alone:
                return False
            if self._shared_lock is not None and not self._log.pages_left:
                # Another process may restart the log now.
                return mode == "RESTART"
            set_busy_timeout(connection, 0.01)
            done = checkpoint(connection, mode)
            set_busy_timeout(connection, connections.BUSY_TIMEOUT_S)
            return done

    def close(self) -> None:
        self._closing = True
        self._wake.set()
        self._thread.join()

    def _run(self) -> None:
        connection = open_checkpointer(self._path)
        try:
            while True:
                self._wake.wait()
                self._wake.clear()
                if self._closing:
                    return
                with self._lock, self._keep_others_away() as is_alone:
                    if is_alone and self._log.pages_left:
                        self._checkpoint(connection)
                # A reader can keep pages from being moved. Retrying faster does not help.
                time.sleep(PAUSE_S)
        finally:
            connection.close()

    @contextmanager
    def _keep_others_away(self) -> Iterator[bool]:
        """Whether no other process moves pages now. None begins to during the block."""
        if self._shared_lock is None:
            yield True
            return
        try:
            fcntl.flock(self._shared_lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        try:
            yield True
        finally:
            fcntl.flock(self._shared_lock, fcntl.LOCK_UN)

    def _checkpoint(self, connection: sqlite3.Connection) -> None:
        try:
            checkpoint(connection, "PASSIVE")
            # SQLite waits for the disk only once all pages are moved, and then the writer would
            # wait too. Flushing now means that there is little left to wait for.
            self._log.flush_database()
        except (sqlite3.Error, OSError) as error:
            # Nothing is lost: the log keeps what could not be moved. If this goes on, the writer
            # stops at the log's limit.
            self.failure = store_failure(error) or str(error)
            logger.warning("a checkpoint failed and will be tried again: %s", self.failure)
            return
        self.passes += 1
        self.failure = None
