"""The record: the gateway writes calls to it, and everything else reads them."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from briggs.storage import copied_from, records, signed_calls
from briggs.storage.alerts import Alerts
from briggs.storage.backfills import Backfill
from briggs.storage.backlogs import Backlogs
from briggs.storage.bodies import Bodies
from briggs.storage.completions import Completions
from briggs.storage.compression import Compression
from briggs.storage.database import Database, Durability, OwnNode
from briggs.storage.datasets import Datasets
from briggs.storage.drift import Drift
from briggs.storage.erasure import Erasure
from briggs.storage.errors import TermEnded, needing_driver
from briggs.storage.eval_runs import EvalRunStore
from briggs.storage.feedback import FeedbackStore
from briggs.storage.feedback_fill import QueueFill
from briggs.storage.feedback_queue import FeedbackQueue
from briggs.storage.feedback_sums import FeedbackSums, SumsFill
from briggs.storage.feedback_tasks import FeedbackTasks
from briggs.storage.figures import CompletionFigures
from briggs.storage.forgetting import Forgetting
from briggs.storage.judges import Judges
from briggs.storage.kept_hours import KeptHours
from briggs.storage.keys import Keys
from briggs.storage.lake import LakeRecords
from briggs.storage.migrations import migrate, read_made_at
from briggs.storage.nodes import Nodes, Remains
from briggs.storage.organizations import Organizations
from briggs.storage.prompts import Prompts
from briggs.storage.queue import Queue, size_of
from briggs.storage.redactor import Redactor
from briggs.storage.retention import Retention, Sweeper
from briggs.storage.rollups import Rollups, Upkeep
from briggs.storage.search_index import Indexer, SearchIndex
from briggs.storage.sessions import Sessions
from briggs.storage.sign_ins import SignIns
from briggs.storage.signed_calls import SignedCalls
from briggs.storage.sizes import Sizes
from briggs.storage.spending import Spending
from briggs.storage.spooling import Spooling, SpoolState
from briggs.storage.sqlite.database import SqliteDatabase
from briggs.storage.sqlite.spool import SpoolFile, delete_spool, list_left_spools, name_spool
from briggs.storage.test_runs import TestRuns
from briggs.storage.usage import Usage
from briggs.storage.views import Views
from briggs.storage.writer import Writer
from briggs.types.completions import Completion
from briggs.types.errors import StoreUnavailable
from briggs.types.keeping import TermOver, find_term

Result = TypeVar("Result")

READERS_MAX = 4
LOG_WAIT_S = 3600.0
REDACTED_AT_ONCE_BYTES = 64 * 1024
"""Redacting so much takes about a millisecond."""


class StoreStatistics(msgspec.Struct, kw_only=True, frozen=True):
    """Counts of the store's work since it was opened, and of what waits."""

    queued: int
    """Operations that wait to be written or are being written."""
    queued_bytes: int
    batches: int
    """Transactions."""
    rows: int
    """Rows written. A call whose start and end came in one batch counts once."""
    merged: int
    """Calls whose start and end became one insert."""
    uncompressed: int
    """Settled completions whose bodies are not compressed yet."""
    wal_bytes: int
    """How much of the write-ahead log is in use."""
    checkpoints: int
    unrecorded: int
    """Calls whose end could not be written."""
    unrecorded_starts: int
    """Calls whose start could not be written. Their ends may have been."""
    spooled: int
    """Records in the spool, which wait until the database is back."""
    spooled_bytes: int


class Store:
    """One data folder, as one process has opened it. Belongs to the event loop that opened it."""

    def __init__(
        self,
        *,
        database: Database,
        durability: Durability,
        queue: Queue,
        writer: Writer,
        bodies: Bodies,
        compression: Compression,
        loop: asyncio.AbstractEventLoop,
        sweeper: Sweeper,
        forgetting: Forgetting,
        spooling: Spooling | None,
        order: _Order,
        member: OwnNode | None,
        interrupted: int,
        made_at: int,
        has_signed_calls: bool,
    ) -> None:
        self.durability = durability
        self.interrupted = interrupted
        """How many calls were still `started` when the last process died."""
        self.made_at = made_at
        """When the record was made, in Unix microseconds. Every process finds the same."""
        self._database = database
        self._queue = queue
        self._writer = writer
        self._compression = compression
        self._spooling = spooling
        self._order = order
        self._loop = loop
        self._threads = ThreadPoolExecutor(READERS_MAX, thread_name_prefix="briggs-reader")
        self._closed = False
        self._redacting: set[asyncio.Future[Completion]] = set()
        self.redactor: Redactor | None = None
        """Applied to whatever is written of completions and feedback, from the next write on."""
        self.completions = Completions(self, bodies=bodies, discard_end=writer.discarded.add)
        self.signed_calls = SignedCalls(self, bodies=bodies, exist=has_signed_calls)
        self.keys = Keys(self)
        self.organizations = Organizations(self)
        self.sign_ins = SignIns(self)
        self.sessions = Sessions(self, bodies=bodies)
        self.feedback_tasks = FeedbackTasks(self, bodies=bodies)
        self.feedback = FeedbackStore(self)
        self.feedback_sums = FeedbackSums(self)
        self.feedback_queue = FeedbackQueue(self, bodies=bodies)
        self.test_runs = TestRuns(self, bodies=bodies)
        self.usage = Usage(self)
        self.views = Views(self)
        self.figures = CompletionFigures(self)
        self.hours = KeptHours(self)
        self.rollups = Rollups(self, bodies=bodies)
        self.spending = Spending(self)
        self.retention = Retention(self, sweeper=sweeper, forgetting=forgetting, bodies=bodies)
        self.alerts = Alerts(self)
        self.datasets = Datasets(self, bodies=bodies)
        self.drift = Drift(self)
        self.judges = Judges(self)
        self.prompts = Prompts(self)
        self.eval_runs = EvalRunStore(self)
        self.search_index = SearchIndex(self)
        self.backlogs = Backlogs(self)
        self.lake = LakeRecords(self, bodies=bodies)
        self.sizes = Sizes(self, database=database)
        self._member = member
        self.nodes = None if member is None else Nodes(member, access=self, loop=loop)
        """The processes that record in the same database. None if it is a file."""

    @classmethod
    async def open(
        cls,
        folder: Path,
        *,
        address: str | None = None,
        password: str | None = None,
        durability: Durability = "strict",
        queue_operations_max: int = 10_000,
        queue_bytes_max: int = 64 * 1024 * 1024,
        wal_bytes_max: int = 64 * 1024 * 1024,
        spool_bytes_max: int = 1024 * 1024 * 1024,
        node_timeout_s: float = 15.0,
        compress: bool = True,
        is_shared: bool = False,
        keeps_order: bool = True,
        worker: int = 0,
    ) -> Store:
        """Open a data folder: create, lock and migrate it, and fail interrupted calls.

        With `is_shared`, several processes open it, and whoever started them has locked it. One
        of them `keeps_order`: it applies retention, folds rollups, and erases what was deleted.

        With an `address` of a PostgreSQL database, the record is there and not in the folder. The
        password may stand in the address too. While the database is away, records are kept in a
        spool in the folder, up to `spool_bytes_max`. Other nodes may use it too. They take this one
        for dead when they have not heard of it for `node_timeout_s`. Each `worker` that shares a
        folder has a spool of its own. Worker 0 is the first that opens the folder: it brings home
        what all have left.

        Raises `StoreLocked` if another process uses it, `StoreTooNew` if a newer Briggs has
        migrated it, and `StoreUnavailable` if it cannot be read or written.
        """
        loop = asyncio.get_running_loop()
        bodies = Bodies()
        database, member, interrupted, made_at = await asyncio.to_thread(
            _open,
            folder,
            address=address,
            password=password,
            durability=durability,
            log_bytes_max=wal_bytes_max,
            is_shared=is_shared,
            keeps_order=keeps_order,
            node_timeout_s=node_timeout_s,
            worker=worker,
        )
        if address is not None and worker == 0:
            await asyncio.to_thread(_bring_home_left, folder, database=database, bodies=bodies)
        connection = database.writer
        queue = Queue(loop=loop, operations_max=queue_operations_max, bytes_max=queue_bytes_max)
        compression = Compression(connection, bodies=bodies, wanted=compress)
        sweeper = Sweeper(connection, bodies=bodies)
        order = _Order(member, is_ours=keeps_order)
        forgetting = Forgetting(connection)
        spooling = None
        if address is not None:
            spooling = Spooling(
                database=database,
                spool=await asyncio.to_thread(SpoolFile, name_spool(folder, worker=worker)),
                bodies=bodies,
                bytes_max=spool_bytes_max,
            )
        writer = Writer(
            database=database,
            queue=queue,
            loop=loop,
            compression=compression,
            chores=(
                Upkeep(connection),
                Backfill(connection, bodies=bodies),
                QueueFill(connection, bodies=bodies),
                SumsFill(connection),
                sweeper,
                forgetting,
                Erasure(connection),
                Indexer(connection, bodies=bodies),
                *(() if member is None else (Remains(connection, member=member),)),
            ),
            find_term=order.find_term,
            spooling=spooling,
        )
        if database.commits_quickly:
            queue.write_at_once = writer.write_at_once
        return cls(
            database=database,
            durability=durability,
            queue=queue,
            writer=writer,
            bodies=bodies,
            compression=compression,
            loop=loop,
            sweeper=sweeper,
            forgetting=forgetting,
            spooling=spooling,
            order=order,
            member=member,
            interrupted=interrupted,
            made_at=made_at,
            # Another process may write the first one at any time.
            has_signed_calls=database.is_shared or signed_calls.exist(connection),
        )

    async def start(self, completion: Completion) -> None:
        """Queue a completion as `started`. Waits only while the queue is full.

        It is written within about 50 ms, unless its end comes first. Its organization, time,
        tags and metadata are stored as they are now; its end does not change them. If it cannot
        be written, that is counted, and it is written with its end.
        """
        size = size_of(completion)
        if self.redactor is not None:
            completion = await self._redact(completion, size=size)
        if self._queue.is_full(size):
            await self._queue.wait_for_room(size)
        self._require_open()
        self._queue.start(completion, size=size)

    async def settle(self, completion: Completion) -> None:
        """Record a completion that is `finished` or `failed`.

        Returns when it is committed (`strict`), on the disk (`fsync`), or queued (`relaxed`).
        Raises `StoreUnavailable` or `NotRecorded` if it could not be written, and `AlreadySettled`
        if it was settled before. Once queued, it is written even if the caller is cancelled. The
        completion must not change after this call.
        """
        if completion.status == "started":
            raise ValueError(f"{completion.id} is not settled: it is still `started`")
        size = size_of(completion)
        if self.redactor is not None:
            completion = await self._redact(completion, size=size, is_end=True)
        if self._queue.is_full(size):
            try:
                await self._queue.wait_for_room(size)
            except asyncio.CancelledError:
                # The waiting caller is gone, but the outcome must be stored, even above the limit.
                self._queue.settle(completion, size=size, future=None)
                raise
        self._require_open()
        if self.durability == "relaxed":
            self._queue.settle(completion, size=size, future=None)
            return
        future = self._loop.create_future()
        self._queue.settle(completion, size=size, future=future)
        await future

    async def _redact(
        self, completion: Completion, *, size: int, is_end: bool = False
    ) -> Completion:
        """The completion as it is to be recorded. If that takes long, a thread does it.

        If the waiting caller is gone by then, an outcome is queued all the same.
        """
        assert self.redactor is not None, "only called if there is one"
        if size <= REDACTED_AT_ONCE_BYTES and self.redactor.is_quick:
            return self.redactor.redact(completion)
        redacting = self._loop.run_in_executor(None, self.redactor.redact, completion)
        self._redacting.add(redacting)
        redacting.add_done_callback(self._redacting.discard)
        try:
            return await asyncio.shield(redacting)
        except asyncio.CancelledError:
            if is_end:
                redacting.add_done_callback(
                    lambda done: self._queue.settle(done.result(), size=size, future=None)
                )
            raise

    @property
    def failure(self) -> str | None:
        """Why new calls should be refused; None if they should not. Recovers by itself."""
        return self._writer.failure

    @property
    def spool(self) -> SpoolState | None:
        """What waits for a database that is away. None for a database in the data folder."""
        return None if self._spooling is None else self._spooling.describe()

    @property
    def is_away(self) -> bool:
        """Whether the database takes nothing, as far as is known, so that the spool is used."""
        return self._spooling is not None and self._spooling.reason is not None

    @property
    def unrecorded(self) -> int:
        """How many calls had ends that could not be written."""
        return self._writer.unrecorded

    def statistics(self) -> StoreStatistics:
        """The counts for `/metrics`."""
        spool = self.spool
        return StoreStatistics(
            spooled=0 if spool is None else spool.count,
            spooled_bytes=0 if spool is None else spool.bytes,
            queued=self._queue.operations,
            queued_bytes=self._queue.bytes,
            batches=self._writer.batches,
            rows=self._writer.rows,
            merged=self._queue.merged,
            uncompressed=self._compression.left,
            wal_bytes=self._database.log_bytes,
            checkpoints=self._database.checkpoints,
            unrecorded=self._writer.unrecorded,
            unrecorded_starts=self._writer.unrecorded_starts,
        )

    async def close(self) -> None:
        """Write everything that waits, move it to the database, and unlock the folder."""
        if self._closed:
            return
        self.keys.write_uses()
        while self._redacting:
            await asyncio.wait([*self._redacting])
        self._closed = True
        self._queue.close()
        await asyncio.to_thread(self._writer.join)
        await asyncio.to_thread(self._threads.shutdown)
        if self._spooling is not None:
            await asyncio.to_thread(self._spooling.close)
        await asyncio.to_thread(self._database.close)

    @property
    def foreign_changes(self) -> int:
        """Changes within a second after another process has written to the database."""
        changes = self._writer.foreign_changes
        if self._member is not None:
            changes += self._member.gaps
            if self._member.was_frozen:
                # Anything may have changed, and that is not known yet.
                return time.monotonic_ns()
        return changes

    async def fail_left(self) -> int:
        """Fail the calls that a process has left `started` when it died. Returns how many."""
        return await self.act(lambda connection: records.fail_left(connection))

    def keep_order(self) -> None:
        """Do from now on what only one of the processes does that share the folder."""
        self._order.is_ours = True

    async def act(
        self,
        action: Callable[[Connection], Result],
        *,
        then: Callable[[Any], None] | None = None,
    ) -> Result:
        """Write, in the next transaction. For the other modules of this package."""
        self._require_open()
        future = self._loop.create_future()
        term = find_term()
        fenced = action if term is None else self._fence(action, term=term)
        self._queue.act(fenced, then=then, future=future)
        try:
            result: Result = await future
        except TermEnded as error:
            raise TermOver from error
        return result

    async def require_term(self) -> None:
        """Called before something that only the keeper does, and that is no write: a call that
        costs money, a message, a file. Raises `TermOver` if another node does it now.

        While the database is away, the time for which this node has the lease decides.
        """
        term = find_term()
        if term is None:
            return
        is_ours = self._order.find_term() == term
        if is_ours and self._member is not None and not self.is_away:
            with contextlib.suppress(StoreUnavailable):
                is_ours = await self.read(lambda it: self._database.is_in_term(it, term))
        if not is_ours:
            raise TermOver

    def _fence(
        self, action: Callable[[Connection], Result], *, term: int
    ) -> Callable[[Connection], Result]:
        """The same action, unless the term has ended in which it was to be done."""

        def act(connection: Connection) -> Result:
            if not self._database.is_in_term(connection, term):
                raise TermEnded
            return action(connection)

        return act

    def act_later(self, action: Callable[[Connection], object]) -> None:
        """Write, in one of the next transactions. For the other modules of this package."""
        self._require_open()
        self._queue.act(action)

    async def read(self, read: Callable[[Connection], Result]) -> Result:
        """Read, in a thread. For the other modules of this package."""
        if (connection := getattr(_together, "connection", None)) is not None:
            # We are in `read_together`.
            return read(connection)

        def read_in_thread() -> Result:
            with self._explained(), self._database.read() as connection:
                return read(connection)

        return await self._loop.run_in_executor(self._threads, read_in_thread)

    async def read_together(self, reads: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
        """Run a coroutine that only reads from this store, in one thread and on one connection.

        Each read costs two changes of threads otherwise. The coroutine must await nothing else.
        """

        def read_in_thread() -> Result:
            with self._explained(), self._database.read() as connection:
                _together.connection = connection
                try:
                    return _run(reads())
                finally:
                    _together.connection = None

        return await self._loop.run_in_executor(self._threads, read_in_thread)

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Say why the record cannot be read, if the database is the reason."""
        try:
            yield
        except DBAPIError as error:
            reason = self._database.store_failure(error)
            if reason is None:
                raise
            raise StoreUnavailable(f"the record cannot be read: {reason}") from error

    def _require_open(self) -> None:
        if self._closed:
            raise StoreUnavailable("the record is closed: the server is stopping")


class _Order:
    """Whether this process does what only one of those does that share a database."""

    def __init__(self, member: OwnNode | None, *, is_ours: bool) -> None:
        self._member = member
        self.is_ours = is_ours
        """Set by whoever started the processes of one folder."""

    def find_term(self) -> int:
        """The number of the term in which it is this one. 0 if it is not."""
        return int(self.is_ours) if self._member is None else self._member.term


_together = threading.local()
"""The connection of the `read_together` that runs in this thread."""


def _run(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine that never has to wait."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        result: Result = end.value
        return result
    coroutine.close()
    raise RuntimeError("what reads together must await nothing but reads")


def _open(
    folder: Path,
    *,
    address: str | None,
    password: str | None,
    durability: Durability,
    log_bytes_max: int,
    is_shared: bool,
    keeps_order: bool,
    node_timeout_s: float,
    worker: int,
) -> tuple[Database, OwnNode | None, int, int]:
    """Do everything that blocks: the database, the tables, the nodes, and interrupted calls."""
    database = open_database(
        folder,
        address=address,
        password=password,
        durability=durability,
        log_bytes_max=log_bytes_max,
        is_shared=is_shared,
    )
    try:
        if migrate(database.writer):
            # Callers would have to wait for the log of a large step.
            database.make_room(0, wait_s=LOG_WAIT_S)
        member = database.join(
            takes_over=worker == 0, wants_to_keep=keeps_order, timeout_s=node_timeout_s
        )
        with database.transaction(database.writer):
            copied_from.open_for_use(database.writer)
            interrupted = records.fail_left(database.writer, is_new=True)
            made_at = read_made_at(database.writer)
    except BaseException as error:
        database.close()
        reason = database.store_failure(error)
        if reason is not None:
            raise StoreUnavailable(f"{database.name}: {reason}") from error
        raise
    return database, member, interrupted, made_at


def open_database(
    folder: Path,
    *,
    address: str | None,
    password: str | None,
    durability: Durability,
    log_bytes_max: int,
    is_shared: bool = False,
) -> Database:
    """The database of a data folder, or at an address, as it is: its tables are not migrated.

    Raises `StoreLocked` if another process uses the folder, and `StoreUnavailable`.
    """
    if address is None:
        return SqliteDatabase(
            folder,
            durability=durability,
            log_bytes_max=log_bytes_max,
            readers_max=READERS_MAX,
            is_shared=is_shared,
        )
    return _open_postgres(
        folder, address=address, password=password, durability=durability, is_shared=is_shared
    )


def _bring_home_left(folder: Path, *, database: Database, bodies: Bodies) -> None:
    """Bring home what workers have left in their spools, who may be fewer from now on."""
    for path in list_left_spools(folder):
        spool = SpoolFile(path)
        spooling = Spooling(database=database, spool=spool, bodies=bodies, bytes_max=spool.bytes)
        try:
            while spooling.is_needed:
                spooling.go_on()
        except DBAPIError as error:
            reason = database.store_failure(error) or database.row_failure(error)
            raise StoreUnavailable(f"{path} cannot be brought home: {reason}") from error
        finally:
            spooling.close()
        delete_spool(path)


def _open_postgres(
    folder: Path, *, address: str, password: str | None, durability: Durability, is_shared: bool
) -> Database:
    with needing_driver():
        from briggs.storage.postgres.database import PostgresDatabase
    return PostgresDatabase(
        folder,
        address=address,
        password=password,
        durability=durability,
        readers_max=READERS_MAX,
        is_shared=is_shared,
    )
