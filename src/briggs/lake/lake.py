"""The lake of a server: archives in the background, and answers from what is there."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from briggs.lake.archive import Archived, Archiver
from briggs.lake.compaction import FILES_MIN, Compacted, Compactor, list_groups
from briggs.lake.reading import list_completions
from briggs.lake.warehouse import Warehouse, count_rows, explain, find_newest
from briggs.settings import LakeSettings, Settings
from briggs.storage import Store
from briggs.storage.folders import hold
from briggs.storage.reading import find_catalog
from briggs.types.background import logging_errors
from briggs.types.completions import Completion, current_time_us
from briggs.types.errors import Conflict, LakeUnavailable
from briggs.types.keeping import Keeping
from briggs.types.lake import LakeQuery
from briggs.types.limits import DAY_US
from briggs.types.organizations import Organization
from briggs.types.peers import Peers
from briggs.types.retention import Term

logger = logging.getLogger("briggs")

LOCK = "lake.lock"
FIRST_S = 1.0
TICK_S = 30.0
"""How long after its start, and how often then, the lake deletes what the record has deleted."""
ROUND_S = 3600.0
"""How often it is looked whether more is old enough."""
ANEW_S = 24 * 3600.0
"""How often all completions are gone through again. Clients may log calls long after they happened,
and a completion that was changed goes to the lake again."""
KEPT_MS = 3_600_000
"""How long the files of an earlier state stay, for whoever reads it."""


class LakeStatus(NamedTuple):
    """What is in the lake of one organization, and what is not yet there."""

    completions: int
    files: int
    small_files: int
    """Those of them that compacting would write together."""
    bytes: int
    archived_until: int | None
    """The time of the newest completion there, in Unix microseconds."""
    waiting: int
    """Completions that are old enough and not there, up to `WAITING_MAX`."""
    deletions: int
    """Deletions that have not reached it yet, up to `DELETIONS_MAX`."""
    metadata: str | None
    """The address of the table's newest metadata, which engines read."""


class LakePage(NamedTuple):
    """Completions in the lake, and whether there are more because these are large."""

    completions: Sequence[Completion]
    has_more: bool


class LakeRound(NamedTuple):
    """What archiving has done, and whether it goes on."""

    archived: int
    deleted: int
    forgotten: int
    emptied: int
    is_running: bool


class LakeCompaction(NamedTuple):
    """What writing small files together has done, and whether it goes on."""

    files: int
    written: int
    bytes_before: int
    bytes_after: int
    is_running: bool


HELD_S = 60.0
WAITED_S = 5.0
"""How long a caller waits for the end of a round."""
WAITING_MAX = 10_000
DELETIONS_MAX = 1_000


class Lake:
    """One for a server whose file has `[lake]`."""

    def __init__(self, settings: Settings, *, store: Store, peers: Peers) -> None:
        assert settings.file.lake is not None, "the caller looks"
        self._settings = settings.file.lake
        self._folder = settings.data
        self._is_shared = settings.store_address is not None
        """Whether servers with other folders may use the same record."""
        self._warehouse = open_warehouse(settings)
        self._store = store
        self._keeping = Keeping(peers)
        self._archiver = Archiver(self._warehouse, store, moves=not self._settings.keep_record)
        self._compactor = Compactor(self._warehouse, store)
        self._lock = asyncio.Lock()
        self._held: dict[str, tuple[float, bool]] = {}
        """By organization: until when it is known whether the lake has anything, and whether."""
        self._rounds: dict[tuple[str, str], asyncio.Task[None]] = {}
        """What was asked for, by what it is and the organization."""
        self._done: dict[str, Archived] = {}
        self._compacted: dict[str, Compacted] = {}
        """What that has done, by organization."""
        self._tasks: set[asyncio.Task[Any]] = set()
        self._stopping = asyncio.Event()
        self._round_at = self._anew_at = 0.0

    async def start(self) -> None:
        """Begin to archive in the background."""
        await self._store.lake.begin()
        self._keep(asyncio.create_task(self._run()))

    async def close(self) -> None:
        """Stop after the step that runs. A thread that commits must not be left alone."""
        self._archiver.is_stopping = self._compactor.is_stopping = True
        self._stopping.set()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.to_thread(self._warehouse.close)

    async def archive(self, *, organization_id: str) -> LakeRound:
        """Bring what is old enough to the lake now, and delete there what was deleted.

        Returns after some seconds, and goes on: see `find_round`. If that is running already, it
        is not begun again. Raises `LakeUnavailable`, and `Conflict` while another process does so.
        """
        await self._ask("archive", organization_id, self._archive_now)
        return self.find_round(organization_id=organization_id)

    def find_round(self, *, organization_id: str) -> LakeRound:
        """What the last archiving that was asked for has done so far."""
        done = self._done.get(organization_id, Archived())
        return LakeRound(*done, self._is_running("archive", organization_id))

    async def compact(self, *, organization_id: str) -> LakeCompaction:
        """Write the small files of each day together, and delete what was deleted.

        As `archive`, it returns after some seconds and goes on, and raises the same.
        """
        await self._ask("compact", organization_id, self._compact_now)
        return self.find_compaction(organization_id=organization_id)

    def find_compaction(self, *, organization_id: str) -> LakeCompaction:
        """What the last compaction that was asked for has done so far."""
        done = self._compacted.get(organization_id, Compacted())
        return LakeCompaction(*done, self._is_running("compact", organization_id))

    async def retrieve(self, id: str, *, organization_id: str) -> Completion | None:
        """The completion with this id, if it is in the lake."""
        found = await self.list(LakeQuery(organization_id=organization_id, ids=[id]), limit=1)
        return next(iter(found.completions), None)

    async def list(
        self,
        query: LakeQuery,
        *,
        limit: int,
        after: Completion | None = None,
        descending: bool = True,
        bytes_max: int | None = None,
    ) -> LakePage:
        """Completions in the lake, by time and id, that come after one of them.

        What is deleted is not there any more, even if the lake has not deleted it yet.
        """
        deletions = await self._store.lake.list_deletions(
            organization_id=query.organization_id, limit=DELETIONS_MAX
        )
        hidden = sum(len(each.query.ids or ()) for each in deletions)

        def read() -> LakePage:
            found: list[Completion] = []
            table, size = self._warehouse.read(), 0
            if table is None or limit == 0:
                return LakePage(found, False)
            with explain("be read"):
                for each in list_completions(
                    self._warehouse,
                    table,
                    query,
                    after=after,
                    limit=limit + hidden,
                    descending=descending,
                ):
                    if any(one.query.selects(each) for one in deletions):
                        continue
                    if found and bytes_max is not None and size >= bytes_max:
                        return LakePage(found, True)
                    found.append(each)
                    size += len(each.request) + len(each.response or b"")
                    if len(found) == limit:
                        break
            return LakePage(found, False)

        return await asyncio.to_thread(read)

    async def delete(self, query: LakeQuery) -> None:
        """Delete what a query selects of what is there now. It is hidden at once, and its bytes
        leave the files within minutes.
        """
        end = min(query.created_to or 2**62, current_time_us() + 1)
        await self._store.lake.demand(msgspec.structs.replace(query, created_to=end))

    async def delete_one(self, completion: Completion) -> None:
        """Delete a completion that is in the lake."""
        await self.delete(
            LakeQuery(
                organization_id=completion.organization_id,
                ids=[completion.id],
                created_from=completion.created_at,
            )
        )

    async def has_more(self, *, organization_id: str) -> bool:
        """Whether the lake has what is not on record, as of a minute ago at most."""
        if self._settings.keep_record:
            return False
        known = self._held.get(organization_id)
        if known is None or time.monotonic() > known[0]:
            held = await asyncio.to_thread(self._look, LakeQuery(organization_id=organization_id))
            known = self._held[organization_id] = (time.monotonic() + HELD_S, held)
        return known[1]

    @property
    def keeps_record(self) -> bool:
        """Whether what is in the lake is on record too, as the file says it now."""
        return self._settings.keep_record

    async def measure(self, *, organization_id: str) -> LakeStatus:
        """What is there, and what is not yet."""
        query = LakeQuery(organization_id=organization_id)

        def read() -> dict[str, Any]:
            table = self._warehouse.read()
            files = [] if table is None else self._warehouse.list_files(table, query)
            groups = [] if table is None else list_groups(files, table, files_min=2)
            return {
                "completions": count_rows(files),
                "files": len(files),
                "small_files": sum(len(each) for each in groups),
                "bytes": sum(each.file_size_in_bytes for each in files),
                "archived_until": None if table is None else find_newest(files, table),
                "metadata": None if table is None else table.metadata_location,
            }

        there = await asyncio.to_thread(read)
        waiting = await self._archiver.count_waiting(
            organization_id=organization_id, until_us=self._find_end(), limit=WAITING_MAX
        )
        deletions = await self._store.lake.list_deletions(
            organization_id=organization_id, limit=DELETIONS_MAX
        )
        return LakeStatus(**there, waiting=waiting, deletions=len(deletions))

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _ask(
        self,
        what: str,
        organization_id: str,
        begin: Callable[[str], Coroutine[Any, Any, None]],
    ) -> None:
        """Begin some work unless it is running, and wait some seconds for its end."""
        if self._is_shared and not self._keeping.is_ours:
            raise Conflict("Another server of this database writes to the lake: ask that one.")
        if not self._is_running(what, organization_id):
            work = begin(organization_id)
            if self._is_shared:
                task = self._keeping.begin(work, is_cancelled=False)
            else:
                # Any worker of a folder may do it: they take turns by the lock.
                task = asyncio.create_task(work)
            self._keep(task)
            self._rounds[what, organization_id] = task
        task = self._rounds[what, organization_id]
        ended, _ = await asyncio.wait([task], timeout=WAITED_S)
        if task.cancelled():
            raise Conflict("Another server of this database writes to the lake now: ask that one.")
        for each in ended:
            each.result()

    def _is_running(self, what: str, organization_id: str) -> bool:
        task = self._rounds.get((what, organization_id))
        return task is not None and not task.done()

    async def _archive_now(self, organization_id: str) -> None:
        def tell(done: Archived) -> None:
            self._done[organization_id] = done._replace(forgotten=forgotten, emptied=emptied)
            self._held.pop(organization_id, None)

        self._done[organization_id] = Archived()
        async with self._lock:
            with self._hold():
                self._archiver.begin_anew()
                emptied = 0
                if organization := await self._store.organizations.find(organization_id):
                    emptied = await self._apply_retention(organization)
                forgotten = await self._archiver.delete()
                tell(Archived())
                await self._archiver.archive(
                    organization_id=organization_id, until_us=self._find_end(), tell=tell
                )
                await self._tidy()

    async def _compact_now(self, organization_id: str) -> None:
        def tell(done: Compacted) -> None:
            self._compacted[organization_id] = done

        tell(Compacted())
        async with self._lock:
            with self._hold():
                await self._archiver.delete()
                await self._compactor.compact(organization_id=organization_id, tell=tell)
                await self._tidy()

    def _look(self, query: LakeQuery) -> bool:
        table = self._warehouse.read()
        return table is not None and bool(self._warehouse.list_files(table, query))

    def _find_end(self) -> int:
        """What is older than this is old enough, in Unix microseconds."""
        return current_time_us() - Term(what="metadata", span=self._settings.after).span_us

    def _hold(self) -> Any:
        return hold(
            self._folder,
            LOCK,
            refusal="Another process is writing to the lake now: try again in a minute.",
        )

    async def _run(self) -> None:
        wait_s = FIRST_S
        while not await self._stops_within(wait_s):
            wait_s = TICK_S
            with (
                logging_errors(waiting="the lake waits", failed="The lake could not be written"),
                suppress(Conflict),
            ):
                # A thread that commits must not be left alone.
                await self._keeping.do(self._go_on, is_cancelled=False)

    async def _stops_within(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)
        return self._stopping.is_set()

    async def _go_on(self) -> None:
        now = time.monotonic()
        async with self._lock:
            with self._hold():
                await self._archiver.delete()
                if now < self._round_at:
                    return
                self._round_at = now + ROUND_S
                if now >= self._anew_at:
                    self._archiver.begin_anew()
                    self._anew_at = now + ANEW_S
                    for each in await self._store.organizations.list():
                        await self._apply_retention(each)
                    await self._archiver.delete()
                # Only whole days, so that a day is a few large files.
                end = self._find_end() // DAY_US * DAY_US
                for each in await self._store.organizations.list():
                    await self._archiver.archive(organization_id=each.id, until_us=end)
                    await self._compactor.compact(organization_id=each.id, files_min=FILES_MIN)
                await self._tidy()

    async def _apply_retention(self, organization: Organization) -> int:
        """Delete from the lake what `[retention]` says. Returns how many lost their messages."""
        now_us, emptied = current_time_us(), 0
        for term in self._store.retention.terms:
            if term.organization not in (None, organization.id, organization.slug):
                continue
            query = LakeQuery(
                organization_id=organization.id,
                tags=[] if term.tag is None else [term.tag],
                created_to=now_us - term.span_us,
            )
            if term.what == "bodies":
                emptied += await self._archiver.empty(query)
            else:
                await self._store.lake.demand(query)
        return emptied

    async def _tidy(self) -> None:
        """Delete the files that nobody reads any more."""
        with explain("be written"):
            table = await asyncio.to_thread(self._warehouse.read)
            if table is not None:
                until_ms = time.time_ns() // 1_000_000 - KEPT_MS
                await self._archiver.sweep(table, until_ms=until_ms)


def open_warehouse(settings: Settings) -> Warehouse:
    """The warehouse that the settings name. Raises `LakeUnavailable`."""
    lake = settings.file.lake
    if lake is None:
        raise LakeUnavailable("There is no lake: write [lake] into briggs.toml. See docs/lake.md")
    address = lake.warehouse
    if "://" not in address:
        address = str((settings.data / Path(address)).absolute())
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    with explain("be opened"):
        return Warehouse(
            address,
            catalog=find_catalog(
                settings.data, address=settings.store_address, password=settings.store_password
            ),
            storage=_list_storage(lake, settings),
        )


def _list_storage(lake: LakeSettings, settings: Settings) -> dict[str, str]:
    """The properties of pyiceberg for S3. Keys are in the environment only."""
    given = {
        "s3.endpoint": lake.endpoint,
        "s3.region": lake.region,
        "s3.access-key-id": settings.environment.get("AWS_ACCESS_KEY_ID"),
        "s3.secret-access-key": settings.environment.get("AWS_SECRET_ACCESS_KEY"),
        "s3.session-token": settings.environment.get("AWS_SESSION_TOKEN"),
    }
    return {name: value for name, value in given.items() if value is not None}
