"""Brings what is old to the lake, once each, and deletes there what the record has deleted.

Which completions are in the lake is known from the lake alone. A file is committed as a whole or
not at all, and before that it is looked up which of its completions are there. So a process that is
killed at any point is followed by one that goes on as if nothing had happened.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from itertools import takewhile
from typing import TYPE_CHECKING, NamedTuple

from msgspec import structs

from briggs.lake.columns import digest
from briggs.lake.files import FileWriter, read_file
from briggs.lake.reading import has_any, list_ids
from briggs.lake.warehouse import Warehouse, explain
from briggs.storage import Store
from briggs.storage.batches import cut
from briggs.storage.lake import OldCompletion
from briggs.types.completions import Completion, current_time_us
from briggs.types.lake import LakeDeletion, LakeQuery
from briggs.types.limits import DAY_US
from briggs.types.record_columns import fit

if TYPE_CHECKING:
    from pyiceberg.manifest import DataFile
    from pyiceberg.table import Table

LOOKED_UP = 5_000
"""So many completions are looked up in the lake at once."""
READ_AT_ONCE = 50
READ_BYTES = 4 * 1024 * 1024
"""So many completions, and so much of what is stored of them, is read at once."""
FILE_ROWS = 100_000
FILE_BYTES = 512 * 1024 * 1024
"""A file of a day ends when it has so much, as bodies are before they are compressed."""
DELETIONS_AT_ONCE = 1_000

_BEGINNING = (-(2**63), "")

_Change = Callable[[Completion], Completion | None]
"""Says what becomes of a row: itself, another one in its place, or None to delete it."""


class Archived(NamedTuple):
    """What a round has done so far."""

    archived: int = 0
    """Completions that are in the lake now, and were not before."""
    deleted: int = 0
    """Completions that have left the record, because they are in the lake."""
    forgotten: int = 0
    """Completions that have left the lake, because they were deleted or changed."""
    emptied: int = 0
    """Completions whose messages have left the lake, as `[retention]` says."""


class Archiver:
    """Takes one step after the other. There is one for a lake."""

    def __init__(self, warehouse: Warehouse, store: Store, *, moves: bool) -> None:
        """`moves` says whether the record loses what is in the lake."""
        self._warehouse = warehouse
        self._store = store
        self._moves = moves
        self.is_stopping = False
        """Set to end after the step that runs."""
        self._swept: int | None = None
        """The state of the table in which no file of an earlier state was left."""
        self._places: dict[str, tuple[int, str]] = {}
        """The place up to which each organization has been gone through."""

    def begin_anew(self) -> None:
        """Go through everything again in the next round: some completions come late."""
        self._places.clear()

    async def archive(
        self,
        *,
        organization_id: str,
        until_us: int,
        tell: Callable[[Archived], None] = lambda done: None,
    ) -> Archived:
        """Bring what is older than a time to the lake. `tell` is called after each file."""
        done = Archived()
        with explain("be written"):
            table = await asyncio.to_thread(self._warehouse.open)
            while not self.is_stopping and (
                batch := await self._find_batch(organization_id, until_us=until_us)
            ):
                archived = await self._archive_day(table, batch, organization_id=organization_id)
                deleted = 0
                if self._moves:
                    deleted = await self._take_out(table, batch, organization_id=organization_id)
                self._places[organization_id] = (batch[-1].created_at, batch[-1].id)
                done = Archived(done.archived + archived, done.deleted + deleted)
                tell(done)
        return done

    async def delete(self) -> int:
        """Delete from the lake what the record has deleted since. Returns how many there were."""
        count = 0
        for organization_id in await self._store.lake.list_deleting():
            while not self.is_stopping and (
                deletions := await self._store.lake.list_deletions(
                    organization_id=organization_id, limit=DELETIONS_AT_ONCE
                )
            ):
                with explain("be written"):
                    count += await self._delete(deletions)
                await self._store.lake.forget_deletions(deletions)
                self._places.pop(organization_id, None)
        return count

    async def count_waiting(self, *, organization_id: str, until_us: int, limit: int) -> int:
        """How many completions are old enough and were not gone through yet, up to a limit."""
        found = await self._store.lake.list_old(
            organization_id=organization_id,
            after=self._places.get(organization_id, _BEGINNING),
            until_us=until_us,
            limit=limit,
        )
        return len(found)

    async def _find_batch(self, organization_id: str, *, until_us: int) -> Sequence[OldCompletion]:
        """The next completions of one day."""
        found = await self._store.lake.list_old(
            organization_id=organization_id,
            after=self._places.get(organization_id, _BEGINNING),
            until_us=until_us,
            limit=FILE_ROWS,
        )
        if not found:
            return found
        day = found[0].created_at // DAY_US
        return [*takewhile(lambda each: each.created_at // DAY_US == day, found)]

    async def _archive_day(
        self, table: Table, batch: Sequence[OldCompletion], *, organization_id: str
    ) -> int:
        """Write those of a batch that are not in the lake. Returns how many there were."""
        writer: FileWriter | None = None
        archived = 0
        try:
            for begin in range(0, len(batch), LOOKED_UP):
                some = batch[begin : begin + LOOKED_UP]
                missing = await self._find_missing(table, some, organization_id=organization_id)
                for part in cut(
                    missing,
                    bytes_of=lambda each: each.bytes,
                    bytes_max=READ_BYTES,
                    rows_max=READ_AT_ONCE,
                ):
                    read = await self._store.completions.retrieve_many(
                        [each.id for each in part], organization_id=organization_id
                    )
                    if writer is None:
                        day = batch[0].created_at // DAY_US
                        writer = FileWriter(self._warehouse, table, day=day)
                    ordered = sorted(read.values(), key=lambda each: (each.created_at, each.id))
                    await asyncio.to_thread(writer.add, ordered)
                    if writer.bytes >= FILE_BYTES:
                        await self._store.require_term()
                        full, writer = writer, None
                        archived += await asyncio.to_thread(self._commit, table, full)
            if writer is not None:
                await self._store.require_term()
                last, writer = writer, None
                archived += await asyncio.to_thread(self._commit, table, last)
        finally:
            if writer is not None:
                await asyncio.to_thread(writer.discard)
        return archived

    async def _find_missing(
        self, table: Table, some: Sequence[OldCompletion], *, organization_id: str
    ) -> Sequence[OldCompletion]:
        query = _span(some, organization_id=organization_id)
        known = await asyncio.to_thread(list_ids, self._warehouse, table, query)
        # An id that is no text to other engines could not be found again.
        return [each for each in some if each.id not in known and fit(each.id) == each.id]

    def _commit(self, table: Table, writer: FileWriter) -> int:
        """Commit a file that reads back as it should. Returns how many completions it has."""
        if not writer.digests:
            # All of them were deleted before they were read.
            writer.discard()
            return 0
        writer.finish()
        # If this fails, nobody knows whether it was committed. So the file stays, until a sweep
        # finds that no state of the table has it.
        self._warehouse.commit(
            table,
            added=[writer.path],
            summary={"briggs.rows": str(len(writer.digests)), "briggs.bytes": str(writer.bytes)},
        )
        return len(writer.digests)

    async def _take_out(
        self, table: Table, batch: Sequence[OldCompletion], *, organization_id: str
    ) -> int:
        """Delete from the record what is in the lake as it is on record. What was graded stays."""
        deleted = 0
        ungraded = [each for each in batch if not each.is_graded]
        for begin in range(0, len(ungraded), LOOKED_UP):
            some = ungraded[begin : begin + LOOKED_UP]
            query = _span(some, organization_id=organization_id)
            digests = await asyncio.to_thread(self._read_digests, table, query)
            there = [each for each in some if each.id in digests]

            def is_same(completion: Completion, digests: dict[str, bytes] = digests) -> bool:
                return digests[completion.id] == digest(completion)

            taken = await self._store.lake.take_out(
                there, organization_id=organization_id, is_same=is_same
            )
            deleted += taken.deleted
        return deleted

    def _read_digests(self, table: Table, query: LakeQuery) -> dict[str, bytes]:
        """What the lake has, as it reads back."""
        return {
            each.id: digest(each)
            for file in self._warehouse.list_files(table, query)
            for each in read_file(self._warehouse, file.file_path)
            if query.selects(each)
        }

    async def empty(self, query: LakeQuery) -> int:
        """Delete the bodies of what a query selects in the lake. Returns how many had some."""
        query = structs.replace(query, has_bodies=True)
        now_us = current_time_us()

        def change(each: Completion) -> Completion:
            if not query.selects(each):
                return each
            bodies: dict[str, bytes | None] = {"request": b"", "response": None, "received": None}
            return structs.replace(each, **bodies, bodies_deleted_at=now_us)

        with explain("be written"):
            table = await asyncio.to_thread(self._warehouse.open)
            count = await self._change(table, [query], change=change, name="briggs.emptied")
            if count or self._swept is None:
                await self._sweep_all(table)
        return count

    async def _delete(self, deletions: Sequence[LakeDeletion]) -> int:
        """Write the files anew that have what these deletions select, and forget the old ones."""
        queries = [each.query for each in deletions]

        def change(each: Completion) -> Completion | None:
            return None if any(query.selects(each) for query in queries) else each

        table = await asyncio.to_thread(self._warehouse.open)
        count = await self._change(table, queries, change=change, name="briggs.deleted")
        # A process that was killed may have written the files anew and not deleted the old ones. So
        # that is looked at once in each state of the table, even if there is nothing to delete.
        state = table.current_snapshot()
        if count or state is None or state.snapshot_id != self._swept:
            await self._sweep_all(table)
        return count

    async def _sweep_all(self, table: Table) -> None:
        await self.sweep(table)
        state = table.current_snapshot()
        self._swept = None if state is None else state.snapshot_id

    async def sweep(self, table: Table, *, until_ms: int | None = None) -> None:
        """Forget the states of the table before the current one, and delete the files that no state
        has: all, or those from before a time.
        """
        await self._store.require_term()
        await asyncio.to_thread(self._warehouse.expire, table, until_ms=until_ms)
        left = await asyncio.to_thread(self._warehouse.list_unreachable, table, until_ms=until_ms)
        # Whoever takes over later writes files that are not among these.
        await self._store.require_term()
        await asyncio.to_thread(self._warehouse.delete_files, table, left)

    async def _change(
        self, table: Table, queries: Sequence[LakeQuery], *, change: _Change, name: str
    ) -> int:
        """Write the files anew that have what queries select. Returns how many rows changed.

        `name` is what the table's history calls that number.
        """
        count = 0
        for file in await asyncio.to_thread(self._find_files, table, queries):
            if self.is_stopping:
                break
            await self._store.require_term()
            count += await asyncio.to_thread(self._rewrite, table, file, change=change, name=name)
        return count

    def _find_files(self, table: Table, queries: Sequence[LakeQuery]) -> Sequence[DataFile]:
        """The files that have what some queries select."""
        files: dict[str, DataFile] = {}
        for query in queries:
            for file in self._warehouse.list_files(table, query):
                if file.file_path not in files and has_any(self._warehouse, table, file, query):
                    files[file.file_path] = file
        return [*files.values()]

    def _rewrite(self, table: Table, file: DataFile, *, change: _Change, name: str) -> int:
        count = 0
        writer: FileWriter | None = None
        try:
            for each in read_file(self._warehouse, file.file_path):
                changed = change(each)
                count += changed is not each
                if changed is None:
                    continue
                if writer is None:
                    day = each.created_at // DAY_US
                    writer = FileWriter(self._warehouse, table, day=day)
                writer.add([changed])
            if not count:
                return 0
            if writer is not None:
                writer.finish()
            added = [] if writer is None else [writer.path]
            writer = None
        finally:
            if writer is not None:
                writer.discard()
        self._warehouse.commit(table, added=added, removed=[file], summary={name: str(count)})
        return count


def _span(some: Sequence[OldCompletion], *, organization_id: str) -> LakeQuery:
    """What is in the lake of the time of some completions, which are in order."""
    return LakeQuery(
        organization_id=organization_id,
        created_from=some[0].created_at,
        created_to=some[-1].created_at + 1,
    )
