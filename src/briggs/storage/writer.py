"""Group commit, on one connection: each commit takes all that has come by then."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Protocol

from briggs.storage import deletion, indexes, records, rollups, search_index
from briggs.storage.bodies import LARGE_BYTES
from briggs.storage.compression import Compression
from briggs.storage.database import Database
from briggs.storage.errors import AlreadySettled, NotRecorded, TermEnded
from briggs.storage.histories import StalePieces
from briggs.storage.queue import Act, Operation, Queue, Write
from briggs.storage.spooling import Spooling
from briggs.storage.tables import probes
from briggs.types.completions import create_id, current_time_us
from briggs.types.errors import BriggsError, StoreUnavailable
from briggs.types.keeping import working_in

logger = logging.getLogger(__name__)

BATCH_BYTES_MAX = 8 * 1024 * 1024
ROOM_WAIT_S = 10.0
"""How long the writer waits for a reader that keeps the log from being emptied."""

WRITTEN_WITHIN_S = 10.0
"""How long a database on another machine may take for a batch until it counts as away."""

INDEX_BYTES = 16 * 1024
"""How much one operation adds to the log, at most, in addition to the bodies."""

PROBE_BYTES = 64 * 1024
AT_ONCE_OPERATIONS_MAX = 64
AT_ONCE_BYTES_MAX = 256 * 1024
"""So much is written within two milliseconds."""

SLOW_S = 0.01
"""If the event loop had to wait this long for a batch, the thread writes for `REST_S`."""

REST_S = 0.25
IDLE_S = 0.25
TICK_S = 1.0
LOST_MAX = 10_000


class Chore(Protocol):
    """Work for idle moments, in small steps."""

    @property
    def waits(self) -> bool:
        """Whether there is work."""
        ...

    def go_on(self, *, idle: bool) -> bool:
        """Take a step if it is time. Returns whether it was."""
        ...


class Writer:
    """The only writer to the database. Its public attributes may be read from any thread.

    Its thread writes, except for small batches, which the event loop's thread writes at once.
    """

    def __init__(
        self,
        *,
        database: Database,
        queue: Queue,
        loop: asyncio.AbstractEventLoop,
        compression: Compression,
        chores: Sequence[Chore],
        find_term: Callable[[], int],
        spooling: Spooling | None = None,
    ) -> None:
        self._find_term = find_term
        """The term in which this process does the chores. 0 if it does not."""
        self.failure: str | None = None
        self.batches = 0
        self.rows = 0
        self.unrecorded = 0
        self.unrecorded_starts = 0
        self.foreign_changes = 0
        self.spooled = 0
        """Records that went to the spool."""
        self.discarded: set[tuple[str, str]] = set()
        """The calls that were deleted while they ran, by organization and id. Their ends are not
        written."""
        self._database = database
        self._connection = database.writer
        self._queue = queue
        self._loop = loop
        self._compression = compression
        self._chores = chores
        self._spooling = spooling
        self._tick_at = 0.0
        self._is_swollen = False
        """Whether the database still holds the memory of a large row that was written."""
        self._lock = threading.Lock()
        """Held by the thread that uses the connection."""
        self._slow_until = 0.0
        self._data_version = database.count_foreign_changes()
        # Calls that got an error because their end could not be written.
        self._lost: list[tuple[str, str]] = []
        self._thread = threading.Thread(target=self._run, name="briggs-writer", daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Wait for the thread to end, once the queue is closed."""
        self._thread.join()

    def write_at_once(self, operations: list[Operation]) -> bool:
        """Write a small batch in the event loop's thread. Returns False if nothing was written.

        Passing it to the writer's thread and back would cost more than writing it, because the
        two threads wait for the interpreter's lock in turns. But the event loop must not wait for
        the disk, the thread, or another process. In doubt, the thread writes the batch.
        """
        size = sum(each.size for each in operations)
        if (
            size > AT_ONCE_BYTES_MAX
            or len(operations) > AT_ONCE_OPERATIONS_MAX
            or self.failure is not None
            or self.discarded
            or self._database.fullness(_log_bytes(operations)) > 0.5
            or (began := time.monotonic()) < self._slow_until
            or not self._lock.acquire(blocking=False)
        ):
            return False
        try:
            self._database.wait_for_others(False)
            rows = self._write_together(operations)
        except Exception:
            # The thread tries again, and finds out what is wrong.
            return False
        else:
            self._succeed(operations, rows=rows)
        finally:
            self._lock.release()
        self._database.maintain()
        if time.monotonic() - began > SLOW_S:
            self._slow_until = time.monotonic() + REST_S
        return True

    def _run(self) -> None:
        closed = False
        pause_s = IDLE_S
        while not closed:
            batches = self.batches
            operations, closed = self._queue.take(
                timeout_s=pause_s, bytes_max=min(BATCH_BYTES_MAX, self._database.batch_bytes_max)
            )
            with self._lock:
                idle = not operations and batches == self.batches
                self._database.wait_for_others(True)
                if operations:
                    self._write(operations)
                    self._loop.call_soon_threadsafe(self._queue.deliver, operations)
                    self._database.maintain()
                self._tick()
                worked = self._bring_home()
                worked |= self._compress(idle=idle) | self._keep_order(idle=idle)
                pause_s = 0 if worked else IDLE_S if self._waits() else TICK_S

    def _waits(self) -> bool:
        """Whether there is work for an idle moment, as far as the database can say."""
        if self._is_away or self.failure is not None:
            return False
        try:
            return self._compression.waits or (
                self._find_term() != 0 and any(each.waits for each in self._chores)
            )
        except Exception as error:
            self._fail_idle(self._explain(error) or str(error))
            return False

    def _write(self, operations: list[Operation]) -> None:
        """Write a batch. Afterwards every operation has its result or its error."""
        if self.discarded:
            operations = [each for each in operations if not self._is_discarded(each)]
        if self._spooling is not None and self._spooling.is_needed:
            operations = self._set_aside(operations)
        if operations:
            self._write_home(operations)

    def _write_home(self, operations: list[Operation]) -> None:
        """Write a batch to the database. If that takes nothing, its records go to the spool."""
        try:
            self._make_room(_log_bytes(operations))
            rows = self._write_together(operations)
        except Exception as error:
            reason = self._explain(error)
            if reason is not None and self._spooling is not None:
                self._set_aside(operations, reason=reason)
            elif reason is not None:
                self._fail(operations, reason=reason)
            elif isinstance(error, StalePieces):
                self._write(operations)
            elif len(operations) == 1:
                self._replace_or_refuse(operations[0], error=error)
            else:
                # One of them makes the others fail. Written one by one, we see which.
                for operation in operations:
                    self._write([operation])
        else:
            self._succeed(operations, rows=rows)
            if self._spooling is not None:
                self._spooling.remember([each for each in operations if isinstance(each, Write)])

    def _replace_or_refuse(self, operation: Operation, *, error: Exception) -> None:
        """Write the end of a call that others failed while this node was paused or cut off. Refuse
        anything else.
        """
        if (
            self._spooling is not None
            and isinstance(error, AlreadySettled)
            and isinstance(operation, Write)
            and not operation.started
        ):
            try:
                if self._spooling.replace_guess(operation.completion):
                    self._succeed([operation], rows=1)
                    return
            except Exception as failure:
                if (reason := self._explain(failure)) is not None:
                    self._set_aside([operation], reason=reason)
                    return
                error = failure
        self._refuse(operation, error=error)

    def _set_aside(
        self, operations: list[Operation], *, reason: str | None = None
    ) -> list[Operation]:
        """Put the records of a batch into the spool. Returns what only the database can do, which
        fails if the database is away. The `reason` is why it is.
        """
        assert self._spooling is not None, "only called with a spool"
        writes = [each for each in operations if isinstance(each, Write)]
        try:
            if reason is not None:
                self._spooling.fail(reason)
            self._spooling.keep(writes)
        except Exception as error:
            self._fail(operations, reason=f"neither the database nor the spool takes it: {error}")
            return []
        for each in writes:
            each.error = None
        self.spooled += len(writes)
        acts = [each for each in operations if not isinstance(each, Write)]
        if self._spooling.reason is None:
            return acts
        for act in acts:
            act.result = None
            act.error = StoreUnavailable(f"the database is away: {self._spooling.reason}")
        return []

    def _bring_home(self) -> bool:
        """Bring some records of the spool home. Returns whether there were any."""
        if self._spooling is None or not self._spooling.is_needed:
            return False
        try:
            self._make_room(0)
            return self._spooling.go_on()
        except Exception as error:
            self._database.remembered.clear()
            reason = self._explain(error)
            try:
                if reason is not None:
                    self._spooling.fail(reason)
                elif (id := self._spooling.refuse()) is not None:
                    self.unrecorded += 1
                    logger.error("completion %s was not recorded: %s", id, error)
            except Exception as spool_error:
                self._fail([], reason=f"the spool cannot be read: {spool_error}")
            return False

    def _write_together(self, operations: list[Operation]) -> int:
        """Write all of them in one transaction, or none. Returns how many rows were written."""
        writes = [each for each in operations if isinstance(each, Write)]
        with (
            self._database.give_up_after(WRITTEN_WITHIN_S),
            self._database.transaction(self._connection),
        ):
            if writes:
                self._insert(writes)
            for each in operations:
                if isinstance(each, Act):
                    self._act(each)
        return len(writes)

    def _insert(self, writes: list[Write]) -> None:
        if self._database.is_shared:
            writes = self._leave_out_deleted(writes)
        packing = self._compression.begin()
        rows = [
            records.encode(
                each.completion,
                started=each.started,
                packing=packing if self._is_packed(each) else None,
                owner=self._database.owner,
            )
            for each in writes
        ]
        new = [each.is_whole for each in writes]
        changes = self._database.insert_records(self._connection, rows, new=new)
        packing.write()
        if changes != len(rows):
            raise AlreadySettled(f"{len(rows) - changes} of {len(rows)} were already settled")
        if any(each.size > LARGE_BYTES for each in writes):
            self._database.forget_records(self._connection)
            self._is_swollen = True
        indexes.create(self._connection, of=[each.completion for each in writes])
        search_index.note(
            self._connection,
            of=[each.completion for each in writes],
            is_expected=not self._database.is_shared or not _is_any_late(writes),
        )
        rollups.record(
            self._connection,
            added=[each.completion for each in writes if not each.started],
            is_spent=True,
        )

    def _leave_out_deleted(self, writes: list[Write]) -> list[Write]:
        """The writes without the ends of calls that another process has deleted meanwhile."""
        old: defaultdict[str, list[str]] = defaultdict(list)
        for each in writes:
            if not each.started and each.completion.created_at <= self._database.changed_at:
                old[each.completion.organization_id].append(each.completion.id)
        deleted: set[str] = set()
        for of, ids in old.items():
            deleted |= deletion.find_deleted(self._connection, ids, organization_id=of)
        return [each for each in writes if each.completion.id not in deleted] if deleted else writes

    def _is_packed(self, write: Write) -> bool:
        return not write.started and self._compression.is_at_once(write.size)

    def _act(self, operation: Act) -> None:
        """Run any other write. Its error does not affect the rest of the transaction."""
        operation.result = operation.error = None
        try:
            with self._database.savepoint(self._connection):
                operation.result = operation.action(self._connection)
        except Exception as error:
            if self._database.store_failure(error) is not None:
                raise
            self._database.remembered.clear()
            operation.error = self._as_store_error(error)

    def _explain(self, error: Exception) -> str | None:
        """Why nothing can be written; None if the error is about one row only."""
        if isinstance(error, StoreUnavailable):
            return error.message
        return self._database.store_failure(error)

    def _succeed(self, operations: list[Operation], *, rows: int) -> None:
        self.batches += 1
        self.rows += rows
        for each in operations:
            if isinstance(each, Write):
                self._compression.left += not each.started and not self._is_packed(each)
            elif isinstance(each, Act) and each.then is not None and each.error is None:
                each.then(each.result)
        if self.failure is not None:
            self.failure = None
            logger.warning("the record can be written again")

    def _as_store_error(self, error: Exception) -> BriggsError:
        """The error for callers."""
        if isinstance(error, BriggsError):
            return error
        refused = NotRecorded(f"the database refused it: {self._database.row_failure(error)}")
        refused.__cause__ = error
        return refused

    def _refuse(self, operation: Operation, *, error: Exception) -> None:
        """Refuse one operation that the database does not accept."""
        operation.error = self._as_store_error(error)
        if not isinstance(error, AlreadySettled):
            self._lose(operation)
        if isinstance(operation, Write):
            logger.error("completion %s was not recorded: %s", operation.completion.id, error)

    def _fail(self, operations: list[Operation], *, reason: str) -> None:
        """Nothing can be written. Every operation gets an error, and lost calls are counted."""
        if self.failure is None:
            logger.error("the record cannot be written: %s", reason)
        self.failure = reason
        for each in operations:
            each.result = None
            each.error = StoreUnavailable(f"the record cannot be written: {reason}")
            self._lose(each)

    def _fail_idle(self, reason: str) -> None:
        """Nothing can be written, as some work in an idle moment has found."""
        if self._spooling is None:
            self._fail([], reason=reason)
        else:
            self._set_aside([], reason=reason)

    def _lose(self, operation: Operation) -> None:
        if not isinstance(operation, Write):
            return
        if operation.started:
            self.unrecorded_starts += 1
            return
        self.unrecorded += 1
        if len(self._lost) < LOST_MAX:
            self._lost.append(_key(operation))

    def _is_discarded(self, operation: Operation) -> bool:
        """Whether this is the end of a call that was deleted while it ran."""
        if not isinstance(operation, Write) or _key(operation) not in self.discarded:
            return False
        self.discarded.discard(_key(operation))
        return True

    @property
    def _is_away(self) -> bool:
        """Whether the database takes nothing, and the spool does."""
        return self._spooling is not None and self._spooling.reason is not None

    def _make_room(self, more_bytes: int) -> None:
        self._database.make_room(more_bytes, wait_s=ROOM_WAIT_S if self.failure is None else 0)

    def _tick(self) -> None:
        """Do the work that is due about once a second, busy or not."""
        now = time.monotonic()
        if now < self._tick_at:
            return
        self._tick_at = now + TICK_S
        if self._spooling is not None and self._spooling.reason is not None:
            self._watch_spool(self._spooling)
            return
        try:
            if self.failure is not None:
                self._probe()
            if self._lost:
                self._fail_lost()
            if self._database.is_shared:
                # Every transaction begins with a look at what others have changed.
                with self._database.transaction(self._connection):
                    pass
            version = self._database.count_foreign_changes()
        except Exception as error:
            self._fail_idle(self._explain(error) or str(error))
            return
        if version != self._data_version:
            self._data_version = version
            self.foreign_changes += 1
            if not self._database.is_shared:
                # Others of this Briggs note what must be forgotten, and that is noticed at once.
                self._database.remembered.clear()
                self._database.zones.forget()

    def _watch_spool(self, spooling: Spooling) -> None:
        """Refuse calls while the spool is full."""
        if not spooling.is_full:
            self._succeed([], rows=0)
        elif self.failure is None:
            self._fail([], reason=f"{spooling.reason}, and the spool is full")

    def _probe(self) -> None:
        """Check whether writing works again, by writing as much as a call might."""
        self._make_room(2 * PROBE_BYTES)
        with self._database.transaction(self._connection):
            probe = probes.insert().values(id=create_id(), content=bytes(PROBE_BYTES))
            self._connection.execute(probe)
        self._connection.execute(probes.delete())
        self._succeed([], rows=0)

    def _fail_lost(self) -> None:
        """Mark the calls whose ends could not be written as failed, since they have ended."""
        with self._database.transaction(self._connection):
            records.fail_started(
                self._connection,
                keys=self._lost,
                kind="not_recorded",
                reason="its end could not be recorded",
            )
        self._lost.clear()

    def _compress(self, *, idle: bool) -> bool:
        """Compress a few bodies, if the log has room for them."""
        if not self._has_room(idle=idle):
            return False
        try:
            compressed = self._compression.go_on(idle=idle)
        except Exception as error:
            logger.warning("completions could not be compressed: %s", error)
            reason = self._database.store_failure(error)
            if reason is not None:
                self._fail_idle(reason)
            return False
        self._database.maintain()
        if self._is_swollen and not compressed:
            self._is_swollen = False
            self._database.release_memory()
        return compressed

    def _has_room(self, *, idle: bool) -> bool:
        """Whether the log has room for more than calls. If no call comes, it is emptied here."""
        if self._is_away or self.failure is not None:
            return False
        fullness = self._database.fullness()
        if idle and fullness > 0.75:
            self._database.empty_log()
            fullness = self._database.fullness()
        return fullness <= 0.75

    def _keep_order(self, *, idle: bool) -> bool:
        """Take a step of each chore, if the log has room for it."""
        term = self._find_term()
        if not term or not self._has_room(idle=idle):
            return False
        try:
            with working_in(term):
                worked = [each.go_on(idle=idle) for each in self._chores]
            return any(worked)
        except TermEnded:
            return False
        except Exception as error:
            self._database.remembered.clear()
            reason = self._database.store_failure(error)
            logger.warning("the record could not be kept in order: %s", reason or error)
            if reason is not None:
                self._fail_idle(reason)
            return False


def _is_any_late(writes: list[Write]) -> bool:
    now = current_time_us()
    return any(
        search_index.is_late(each.completion, now=now, is_first=each.started or each.is_whole)
        for each in writes
    )


def _log_bytes(operations: list[Operation]) -> int:
    """The most that these operations can add to the log: bodies, and pages of every index."""
    return sum(2 * each.size + INDEX_BYTES for each in operations)


def _key(write: Write) -> tuple[str, str]:
    return write.completion.organization_id, write.completion.id
