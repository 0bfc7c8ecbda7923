"""Group commit: one thread, one connection; what came during a commit makes up the next one."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Connection

from briggs.storage import bodies as bodies_module
from briggs.storage import completions, sqlite
from briggs.storage.bodies import Bodies
from briggs.storage.checkpoints import Checkpointer
from briggs.storage.errors import AlreadySettled, NotRecorded, StoreError
from briggs.storage.queue import Operation, Queue
from briggs.types.errors import StoreUnavailable

logger = logging.getLogger(__name__)

Durability = Literal["strict", "fsync", "relaxed"]

BATCH_BYTES_MAX = 8 * 1024 * 1024
CHECKPOINT_EVERY_BYTES = 8 * 1024 * 1024
LOG_WAIT_S = 10.0
"""How long the writer waits for a reader who keeps the log from being emptied."""

PROBE_BYTES = 64 * 1024
IDLE_S = 0.25
TICK_S = 1.0
LOST_MAX = 10_000

COMPRESS_ROWS_MAX = 32
COMPRESS_BYTES_MAX = 64 * 1024
COMPRESS_EVERY_S = 0.02
UNCOMPRESSED_MAX = 20_000
"""Past this many, compression does not wait for an idle moment."""


class Writer:
    """The only one who writes. Its public attributes may be read from any thread."""

    def __init__(
        self,
        *,
        path: Path,
        connection: Connection,
        durability: Durability,
        queue: Queue,
        bodies: Bodies,
        loop: asyncio.AbstractEventLoop,
        wal_bytes_max: int,
        compress: bool,
    ) -> None:
        self.failure: str | None = None
        self.batches = 0
        self.rows = 0
        self.unrecorded = 0
        self.unrecorded_starts = 0
        self.foreign_changes = 0
        self.uncompressed = bodies_module.count_uncompressed(connection)
        self.discarded: set[str] = set()
        """The ids of calls that were deleted while they ran: their ends are not written."""
        self._path = path
        self._connection = connection
        self._synchronous = synchronous(durability)
        self._queue = queue
        self._bodies = bodies
        self._loop = loop
        self._wal_bytes_max = wal_bytes_max
        self._compress = compress
        self._checkpointer = Checkpointer(path=path)
        self._checkpointed_bytes = 0
        self._emptied_at = 0.0
        self._tick_at = 0.0
        self._compressed_at = 0.0
        self._written_at = 0.0
        self._data_version = sqlite.foreign_changes(sqlite.driver(connection))
        # What was answered with an error because it could not be written.
        self._lost: list[str] = []
        self._thread = threading.Thread(target=self._run, name="briggs-writer", daemon=True)
        self._thread.start()

    @property
    def checkpoints(self) -> int:
        return self._checkpointer.passes

    def join(self) -> None:
        """Wait for the thread to end, after the queue was closed."""
        self._thread.join()

    def _run(self) -> None:
        closed = False
        while not closed:
            operations, closed = self._queue.take(
                timeout_s=self._patience_s(),
                bytes_max=min(BATCH_BYTES_MAX, self._wal_bytes_max // 8),
            )
            if operations:
                self._write(operations)
                self._loop.call_soon_threadsafe(self._queue.deliver, operations)
                self._watch_log()
            else:
                self._checkpointer.wake()
            self._tick()
            self._compress_some(idle=not operations)
        self._close()

    def _patience_s(self) -> float:
        """How long to wait for something to write before doing what can wait."""
        if not self._compress or not self.uncompressed or self.failure:
            return TICK_S
        return 0.0 if self._compressed_at > self._written_at else IDLE_S

    def _write(self, operations: list[Operation]) -> None:
        """Write a batch. Every operation has its result or its error afterwards."""
        self._written_at = time.monotonic()
        if self.discarded:
            operations = [each for each in operations if not self._is_discarded(each)]
        try:
            self._limit_log(expected_bytes=sum(each.size for each in operations))
            self._write_together(operations)
        except Exception as error:
            reason = sqlite.store_failure(error)
            if isinstance(error, StoreUnavailable):
                reason = error.message
            if reason is not None:
                self._fail(operations, reason=reason)
            elif len(operations) == 1:
                self._refuse(operations[0], error=error)
            else:
                # One of them spoils it for the others. Each on its own, we see which.
                for operation in operations:
                    self._write([operation])

    def _write_together(self, operations: list[Operation]) -> None:
        """One transaction for all of them, or for none."""
        settled = [each for each in operations if each.completion is not None]
        rows = [
            completions.encode(each.completion, started=each.started)
            for each in settled
            if each.completion is not None
        ]
        checkpointer = self._checkpointer
        checkpointer.begun += 1
        driver = sqlite.driver(self._connection)
        driver.execute("BEGIN IMMEDIATE")
        try:
            if rows:
                self._insert(driver, rows)
                for each in settled:
                    found = each.completion
                    if found is not None and (found.tags or found.metadata):
                        completions.create_tags_and_metadata(self._connection, completion=found)
            for each in operations:
                if each.action is not None:
                    self._act(driver, each.action, operation=each)
            driver.execute("COMMIT")
        except BaseException:
            _roll_back(driver)
            raise
        checkpointer.committed = checkpointer.begun
        self._succeed(operations, rows=len(rows))

    def _insert(self, driver: sqlite3.Connection, rows: list[list[Any]]) -> None:
        try:
            changes = driver.executemany(completions.INSERT_SQL, rows).rowcount
        except (UnicodeEncodeError, OverflowError):
            driver.execute("ROLLBACK")
            driver.execute("BEGIN IMMEDIATE")
            storable = [[sqlite.storable(value) for value in row] for row in rows]
            changes = driver.executemany(completions.INSERT_SQL, storable).rowcount
        if changes != len(rows):
            raise AlreadySettled(
                f"{len(rows) - changes} of {len(rows)} completions were already settled"
            )

    def _act(
        self,
        driver: sqlite3.Connection,
        action: Callable[[Connection], Any],
        *,
        operation: Operation,
    ) -> None:
        """Do something else that writes. What is wrong with it stays its own affair."""
        driver.execute("SAVEPOINT action")
        try:
            operation.result = action(self._connection)
        except Exception as error:
            if sqlite.store_failure(error) is not None:
                raise
            driver.execute("ROLLBACK TO action")
            operation.error = error
        driver.execute("RELEASE action")

    def _succeed(self, operations: list[Operation], *, rows: int) -> None:
        self.batches += 1
        self.rows += rows
        for each in operations:
            if each.completion is not None and not each.started:
                self.uncompressed += 1
            elif each.then is not None and each.error is None:
                each.then(each.result)
        if self.failure is not None:
            self._recover()

    def _refuse(self, operation: Operation, *, error: Exception) -> None:
        """One operation that the database does not take."""
        completion = operation.completion
        if isinstance(error, StoreError):
            operation.error = error
        else:
            operation.error = NotRecorded(f"the database refused it: {error}")
        operation.error.__cause__ = error
        self._count_unrecorded([operation])
        if completion is not None:
            logger.error("completion %s was not recorded: %s", completion.id, error)

    def _fail(self, operations: list[Operation], *, reason: str) -> None:
        """Nothing can be written. Whoever waits hears of it; who does not is counted."""
        if self.failure is None:
            logger.error("the record cannot be written: %s", reason)
        self.failure = reason
        for each in operations:
            each.result = None
            each.error = StoreUnavailable(f"the record cannot be written: {reason}")
        self._count_unrecorded(operations)
        for each in operations:
            if each.completion is not None and not each.started and len(self._lost) < LOST_MAX:
                self._lost.append(each.completion.id)

    def _count_unrecorded(self, operations: list[Operation]) -> None:
        for each in operations:
            if each.completion is not None and each.started:
                self.unrecorded_starts += 1
            elif each.completion is not None:
                self.unrecorded += 1

    def _is_discarded(self, operation: Operation) -> bool:
        completion = operation.completion
        if completion is None or operation.started or completion.id not in self.discarded:
            return False
        self.discarded.discard(completion.id)
        return True

    def _watch_log(self) -> None:
        """Have the log emptied bit by bit, before it has to be emptied at once."""
        size = sqlite.wal_bytes(self._path)
        if size < self._checkpointed_bytes:
            self._checkpointed_bytes = 0
        if size - self._checkpointed_bytes >= min(CHECKPOINT_EVERY_BYTES, self._wal_bytes_max // 8):
            self._checkpointed_bytes = size
            self._checkpointer.wake()

    def _limit_log(self, *, expected_bytes: int) -> None:
        """Start the log anew when it is half full, and wait for that when it is full.

        Half full, most of it has been moved, so that this is short. It is full only when a
        reader holds on to an old state of the database, and then callers have to wait.
        """
        size = sqlite.wal_bytes(self._path)
        if size < self._wal_bytes_max // 2:
            return
        deadline = time.monotonic() + (LOG_WAIT_S if self.failure is None else 0)
        is_full = size + 2 * expected_bytes > self._wal_bytes_max
        if not is_full and time.monotonic() - self._emptied_at < 0.1:
            return
        while not self._empty_log() and is_full:
            if time.monotonic() > deadline:
                raise StoreUnavailable(
                    self._checkpointer.failure
                    or "a reader of the database keeps the write-ahead log from being emptied: "
                    "end the transaction of whatever else has it open"
                )
            time.sleep(0.01)

    def _empty_log(self) -> bool:
        """Move what is left, and cut the log. No one else writes meanwhile."""
        driver = sqlite.driver(self._connection)
        with self._checkpointer.lock:
            driver.execute("PRAGMA busy_timeout = 10")
            done = sqlite.checkpoint(driver, "TRUNCATE")
            driver.execute(f"PRAGMA busy_timeout = {int(sqlite.BUSY_TIMEOUT_S * 1000)}")
        self._emptied_at = time.monotonic()
        return not done.busy

    def _tick(self) -> None:
        """What is done about once a second, busy or not."""
        now = time.monotonic()
        if now < self._tick_at:
            return
        self._tick_at = now + TICK_S
        if self.failure is not None:
            self._probe()
            return
        version = sqlite.foreign_changes(sqlite.driver(self._connection))
        if version != self._data_version:
            self._data_version = version
            self.foreign_changes += 1

    def _probe(self) -> None:
        """Find out whether it can be written again, by writing as much as a call might."""
        driver = sqlite.driver(self._connection)
        try:
            self._limit_log(expected_bytes=PROBE_BYTES)
            driver.execute("BEGIN IMMEDIATE")
            driver.execute("INSERT INTO probes (content) VALUES (zeroblob(?))", (PROBE_BYTES,))
            driver.execute("COMMIT")
            driver.execute("DELETE FROM probes")
        except (sqlite3.Error, StoreUnavailable) as error:
            _roll_back(driver)
            self.failure = sqlite.store_failure(error) or str(error)
            return
        self._recover()

    def _recover(self) -> None:
        """It can be written again. The calls that it could not be written of have failed."""
        logger.warning("the record can be written again")
        self.failure = None
        lost, self._lost = self._lost, []
        if lost:
            completions.fail_started(
                self._connection,
                ids=lost,
                kind="store_unavailable",
                reason="its end could not be recorded",
            )

    def _compress_some(self, *, idle: bool) -> None:
        if not self._compress or not self.uncompressed or self.failure is not None:
            return
        now = time.monotonic()
        if not idle and (
            self.uncompressed < UNCOMPRESSED_MAX or now - self._compressed_at < COMPRESS_EVERY_S
        ):
            return
        self._checkpointer.begun += 1
        try:
            done = bodies_module.compress_some(
                self._connection,
                bodies=self._bodies,
                rows_max=COMPRESS_ROWS_MAX,
                bytes_max=COMPRESS_BYTES_MAX,
            )
        except Exception as error:
            # The bodies are still there as received, so nothing is lost by waiting.
            logger.warning("completions could not be compressed: %s", error)
            reason = sqlite.store_failure(error)
            if reason is not None:
                self._fail([], reason=reason)
            self.uncompressed = 0
            return
        self._checkpointer.committed = self._checkpointer.begun
        self.uncompressed = max(0, self.uncompressed - done) if done else 0
        self._compressed_at = time.monotonic()
        self._watch_log()

    def _close(self) -> None:
        self._checkpointer.close()
        try:
            sqlite.checkpoint(sqlite.driver(self._connection), "TRUNCATE")
        except sqlite3.Error as error:
            logger.warning("the last checkpoint failed; the log keeps what it has: %s", error)
        self._connection.close()


def synchronous(durability: Durability) -> sqlite.Synchronous:
    """What SQLite calls it: only `fsync` waits for the disk itself."""
    return "FULL" if durability == "fsync" else "NORMAL"


def _roll_back(driver: sqlite3.Connection) -> None:
    # SQLite has sometimes rolled back by itself, as when the disk is full.
    if driver.in_transaction:
        driver.execute("ROLLBACK")
