"""Checkpoints off the answer's path: in a thread and on a connection of their own."""

from __future__ import annotations

import logging
import sqlite3
import threading
from pathlib import Path

from briggs.storage import sqlite

logger = logging.getLogger(__name__)


class Checkpointer:
    """Moves pages from the log to the database whenever it is woken.

    SQLite before 3.51.3 can damage a database when a checkpoint begins while everything is
    already moved, and the log starts anew at that very moment
    (https://www.sqlite.org/wal.html#walresetbug, read 2026-11). So none begins unless a
    transaction has begun and ended since the last complete one: then something is left to
    move, and the log cannot start anew before it is.
    """

    def __init__(self, *, path: Path) -> None:
        self.begun = 0
        """How many transactions the writer has begun. Only the writer changes it."""
        self.committed = 0
        """The number of the last one that it has ended. Only the writer changes it."""
        self.failure: str | None = None
        self.passes = 0
        self.lock = threading.Lock()
        """Held while a checkpoint runs, of this thread or of the writer."""
        self._complete_at = 0
        self._path = path
        self._wake = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="briggs-checkpoints", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        self._wake.set()

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
                with self.lock:
                    self._checkpoint(connection)
        finally:
            connection.close()

    def _checkpoint(self, connection: sqlite3.Connection) -> None:
        if self.committed <= self._complete_at:
            return
        try:
            done = sqlite.checkpoint(connection, "PASSIVE")
        except sqlite3.Error as error:
            # Nothing is lost: the log keeps what could not be moved, and the writer stops
            # at the log's limit if it stays so.
            self.failure = sqlite.store_failure(error) or str(error)
            logger.warning("a checkpoint failed, and will be tried again: %s", self.failure)
            return
        self.passes += 1
        self.failure = None
        self._complete_at = self.begun if done.complete else 0
