"""The record: the gateway writes calls to it, and everything else reads them."""

from __future__ import annotations

import asyncio
import builtins
import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from briggs.storage import completions, counts, keys, signed_calls, sqlite
from briggs.storage.bodies import Bodies
from briggs.storage.completions import Page, Query
from briggs.storage.compression import Compression
from briggs.storage.counts import Count
from briggs.storage.feedback import FeedbackStore
from briggs.storage.feedback_queue import FeedbackQueue
from briggs.storage.feedback_tasks import FeedbackTasks
from briggs.storage.figures import CompletionFigures
from briggs.storage.migrations import migrate
from briggs.storage.organizations import Organizations
from briggs.storage.queue import Queue, size_of
from briggs.storage.rollups import Rollups, Upkeep
from briggs.storage.sessions import Sessions
from briggs.storage.sqlite import WriteAheadLog
from briggs.storage.test_runs import TestRuns
from briggs.storage.usage import Usage
from briggs.storage.writer import Durability, Writer, synchronous
from briggs.types.completions import Completion
from briggs.types.errors import StoreUnavailable
from briggs.types.keys import Key

logger = logging.getLogger(__name__)

Result = TypeVar("Result")

READERS_MAX = 4
KEYS_TOUCHED_EVERY_S = 5.0


class Statistics(msgspec.Struct, kw_only=True, frozen=True):
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


class Store:
    """One data folder, opened by one process. Belongs to the event loop that opened it."""

    def __init__(
        self,
        *,
        path: Path,
        lock: int,
        log: WriteAheadLog,
        durability: Durability,
        queue: Queue,
        writer: Writer,
        readers: Engine,
        bodies: Bodies,
        compression: Compression,
        loop: asyncio.AbstractEventLoop,
        interrupted: int,
        has_signed_calls: bool,
    ) -> None:
        self.path = path
        self.durability = durability
        self.interrupted = interrupted
        """How many calls were still `started` when the last process died."""
        self._lock = lock
        self._log = log
        self._queue = queue
        self._writer = writer
        self._readers = readers
        self._bodies = bodies
        self._compression = compression
        self._loop = loop
        self._threads = ThreadPoolExecutor(READERS_MAX, thread_name_prefix="briggs-reader")
        self._key_changes = 0
        self._keys_used: dict[str, int] = {}
        self._keys_timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._has_signed_calls = has_signed_calls
        self.organizations = Organizations(self)
        self.sessions = Sessions(self)
        self.feedback_tasks = FeedbackTasks(self, bodies=bodies)
        self.feedback = FeedbackStore(self)
        self.feedback_queue = FeedbackQueue(self)
        self.test_runs = TestRuns(self, bodies=bodies)
        self.usage = Usage(self)
        self.figures = CompletionFigures(self)
        self.rollups = Rollups(self)

    @classmethod
    async def open(
        cls,
        folder: Path,
        *,
        durability: Durability = "strict",
        queue_operations_max: int = 10_000,
        queue_bytes_max: int = 64 * 1024 * 1024,
        wal_bytes_max: int = 64 * 1024 * 1024,
        compress: bool = True,
    ) -> Store:
        """Open a data folder: create, lock and migrate it, and fail interrupted calls.

        Raises `StoreLocked` if another process uses it, `StoreTooNew` if a newer Briggs has
        migrated it, and `StoreUnavailable` if it cannot be read or written.
        """
        loop = asyncio.get_running_loop()
        bodies = Bodies()
        lock, path, connection, interrupted = await asyncio.to_thread(
            _prepare, folder, durability=durability
        )
        has_signed_calls = signed_calls.exist(connection)
        queue = Queue(loop=loop, operations_max=queue_operations_max, bytes_max=queue_bytes_max)
        compression = Compression(connection, bodies=bodies, wanted=compress)
        log = sqlite.open_log(connection, path=path)
        writer = Writer(
            path=path,
            connection=connection,
            log=log,
            queue=queue,
            loop=loop,
            wal_bytes_max=wal_bytes_max,
            compression=compression,
            upkeep=Upkeep(connection),
        )
        return cls(
            path=path,
            lock=lock,
            log=log,
            durability=durability,
            queue=queue,
            writer=writer,
            readers=sqlite.open_readers(path, connections_max=READERS_MAX),
            bodies=bodies,
            compression=compression,
            loop=loop,
            interrupted=interrupted,
            has_signed_calls=has_signed_calls,
        )

    async def start(self, completion: Completion) -> None:
        """Queue a completion as `started`. Waits only while the queue is full.

        It is written within about 50 ms, unless its end comes first. Its organization, time,
        tags and metadata are stored as they are now; its end does not change them. If it cannot
        be written, that is counted, and it is written with its end.
        """
        size = size_of(completion)
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

    @property
    def failure(self) -> str | None:
        """Why new calls should be refused; None if they should not. Recovers by itself."""
        return self._writer.failure

    @property
    def unrecorded(self) -> int:
        """How many calls had ends that could not be written."""
        return self._writer.unrecorded

    @property
    def keys_version(self) -> int:
        """Changes when keys may have changed: at once here, within a second by other processes."""
        return self._key_changes + self._writer.foreign_changes

    def statistics(self) -> Statistics:
        """The counts for `/metrics`."""
        return Statistics(
            queued=self._queue.operations,
            queued_bytes=self._queue.bytes,
            batches=self._writer.batches,
            rows=self._writer.rows,
            merged=self._queue.merged,
            uncompressed=self._compression.left,
            wal_bytes=self._log.used_bytes,
            checkpoints=self._writer.checkpoints,
            unrecorded=self._writer.unrecorded,
            unrecorded_starts=self._writer.unrecorded_starts,
        )

    async def retrieve(self, id: str, *, organization_id: str) -> Completion | None:
        """Find a completion by our id, or else the newest one with this upstream `response_id`."""
        return await self.read(
            lambda connection: completions.retrieve(
                connection, id=id, organization_id=organization_id, bodies=self._bodies
            )
        )

    async def retrieve_many(
        self, ids: Iterable[str], *, organization_id: str
    ) -> Mapping[str, Completion]:
        """Find completions by our ids. Returns the ones that exist, by id."""
        wanted = sorted(set(ids))
        return await self.read(
            lambda connection: completions.retrieve_many(
                connection, ids=wanted, organization_id=organization_id, bodies=self._bodies
            )
        )

    async def retrieve_labels(
        self, ids: Iterable[str], *, organization_id: str
    ) -> Mapping[str, Completion]:
        """As `retrieve_many`, with times, models and tags only, which is several times as fast."""
        wanted = sorted(set(ids))
        return await self.read(
            lambda connection: completions.retrieve_labels(
                connection, ids=wanted, organization_id=organization_id
            )
        )

    async def list(self, query: Query) -> Page:
        """One page of the query's completions. Raises `InvalidRequest` for an unknown `after`."""
        return await self.read(
            lambda connection: completions.list_page(connection, query=query, bodies=self._bodies)
        )

    async def count(self, query: Query) -> Count:
        """Count the query's completions, as far as that is possible quickly."""
        return await self.read(
            lambda connection: counts.count(connection, query=query, bodies=self._bodies)
        )

    async def relabel(
        self,
        id: str,
        *,
        organization_id: str,
        tags: builtins.list[str] | None = None,
        metadata: dict[str, str] | None = None,
    ) -> bool:
        """Replace a completion's tags, metadata or both. Returns False if there is none."""
        return await self.act(
            lambda connection: completions.relabel(
                connection,
                id=id,
                organization_id=organization_id,
                bodies=self._bodies,
                tags=tags,
                metadata=metadata,
            )
        )

    async def merge(
        self,
        id: str,
        *,
        organization_id: str,
        change: Callable[[Completion | None], Completion],
    ) -> Completion:
        """Replace a completion, or its absence, by what `change` returns, and return that.

        Used for calls that clients report, in pieces and in any order. `change` runs in the
        writer's thread and must only compute. Raises `NotFound` if the id belongs to another
        organization.
        """
        return await self.act(
            lambda connection: completions.merge(
                connection,
                id=id,
                organization_id=organization_id,
                change=change,
                bodies=self._bodies,
            )
        )

    async def list_tags(
        self, *, organization_id: str, text: str = "", limit: int = 100
    ) -> Sequence[str]:
        """The tags that contain a text, ignoring case. If a tag equals the text, only that tag."""
        return await self.read(
            lambda connection: completions.list_tags(
                connection, organization_id=organization_id, text=text, limit=limit
            )
        )

    def sign(self, completion: Completion, *, call_ids: Sequence[str]) -> None:
        """Note that a completion, which is settled next, made calls that its vendor signed."""
        self._require_open()
        self._has_signed_calls = True
        organization_id, completion_id = completion.organization_id, completion.id
        self._queue.act(
            lambda connection: signed_calls.create(
                connection,
                organization_id=organization_id,
                completion_id=completion_id,
                call_ids=call_ids,
            )
        )

    async def read_signed(
        self,
        call_ids: Sequence[str],
        *,
        organization_id: str,
        read: Callable[[bytes], Result],
    ) -> builtins.list[Result]:
        """Apply `read` to the newest answer that made each call. Oldest of these answers first.

        `read` runs in a reader's thread and must only compute. If no call was ever signed, nothing
        is looked up.
        """
        if not self._has_signed_calls or not call_ids:
            return []
        try:
            return await self.read(
                lambda connection: signed_calls.read_responses(
                    connection,
                    organization_id=organization_id,
                    call_ids=call_ids,
                    read=read,
                    bodies=self._bodies,
                )
            )
        except DBAPIError as error:
            # A call must not fail for the lack of something optional.
            logger.warning("signatures could not be read: %s", error)
            return []

    async def record_violates(self, found: Mapping[str, Sequence[str]]) -> None:
        """Store which rules the upstream's answers break, by completion id, once settled."""
        await self.act(lambda connection: completions.record_violates(connection, found=found))

    async def delete(self, id: str, *, organization_id: str) -> bool:
        """Delete a completion for good, by our id. Returns False if there is none."""
        deleted = await self.act(
            lambda connection: completions.delete(
                connection, id=id, organization_id=organization_id
            ),
            then=self._discard_end,
        )
        return deleted is not None

    async def create_key(self, key: Key) -> None:
        """Store a key."""
        await self.act(lambda connection: keys.create(connection, key=key))
        self._key_changes += 1

    async def list_keys(self, *, organization_id: str) -> Sequence[Key]:
        """The keys of an organization."""
        return await self.read(
            lambda connection: keys.list_all(connection, organization_id=organization_id)
        )

    async def find_key(self, hash: bytes) -> Key | None:
        """Find a key by its secret's hash. It may be cached until `keys_version` changes."""
        return await self.read(lambda connection: keys.find(connection, hash=hash))

    async def revoke_key(self, id: str, *, organization_id: str) -> bool:
        """Delete a key of an organization. Returns False if there is none."""
        revoked = await self.act(
            lambda connection: keys.revoke(connection, id=id, organization_id=organization_id)
        )
        self._key_changes += revoked
        return revoked

    def touch_key(self, id: str, *, at: int) -> None:
        """Note that a key was used. It is written within a few seconds, with others."""
        self._keys_used[id] = at
        if self._keys_timer is None:
            self._keys_timer = self._loop.call_later(KEYS_TOUCHED_EVERY_S, self._touch_keys)

    async def close(self) -> None:
        """Write everything that waits, move it to the database, and unlock the folder."""
        if self._closed:
            return
        self._closed = True
        self._touch_keys()
        self._queue.close()
        await asyncio.to_thread(self._writer.join)
        await asyncio.to_thread(self._threads.shutdown)
        self._readers.dispose()
        self._log.close()
        os.close(self._lock)

    def _require_open(self) -> None:
        if self._closed:
            raise StoreUnavailable("the record is closed: the server is stopping")

    def _discard_end(self, deleted: Completion | None) -> None:
        if deleted is not None and deleted.status == "started":
            self._writer.discarded.add(deleted.id)

    def _touch_keys(self) -> None:
        if self._keys_timer is not None:
            self._keys_timer.cancel()
            self._keys_timer = None
        used, self._keys_used = self._keys_used, {}
        if used:
            self._queue.act(lambda connection: keys.touch(connection, used=used))

    async def act(
        self,
        action: Callable[[Connection], Result],
        *,
        then: Callable[[Any], None] | None = None,
    ) -> Result:
        """Write, in the next transaction. For the other modules of this package."""
        self._require_open()
        future = self._loop.create_future()
        self._queue.act(action, then=then, future=future)
        result: Result = await future
        return result

    async def read(self, read: Callable[[Connection], Result]) -> Result:
        """Read, in a thread. For the other modules of this package."""

        def read_in_thread() -> Result:
            with self._readers.connect() as connection:
                return read(connection)

        return await self._loop.run_in_executor(self._threads, read_in_thread)


def _prepare(folder: Path, *, durability: Durability) -> tuple[int, Path, Connection, int]:
    """Do everything that blocks: the folder, its lock, the tables, and interrupted calls."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = sqlite.lock_folder(folder)
    except OSError as error:
        raise StoreUnavailable(
            f"{folder} cannot be a data folder: {error.strerror}. Choose another with --data"
        ) from error
    try:
        path = sqlite.create_database(folder)
        connection = sqlite.open_writer(path, synchronous=synchronous(durability))
        try:
            migrate(connection)
            interrupted = completions.fail_left(
                connection, kind="interrupted", reason="the server died before this call ended"
            )
        except BaseException:
            connection.close()
            raise
    except BaseException as error:
        os.close(lock)
        reason = sqlite.store_failure(error)
        if reason is not None:
            raise StoreUnavailable(f"{folder}: {reason}") from error
        raise
    return lock, path, connection, interrupted
