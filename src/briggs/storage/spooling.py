"""Keeps records while the database is away, slow or full, and brings them home once it is back.

The database may be on another machine. While it takes nothing, records go to a file in the data
folder, in the order in which they come. Once it takes records again, they are brought home in that
order, and each is written once, however often that is interrupted. Until the last of them is home,
new records go the same way.

A standby that takes the place of a primary may lack the last moments of it. So the records that
were written last are remembered, and after a failure they are brought home too, if they are not
there.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, Protocol

import msgspec
from sqlalchemy import Connection, select

from briggs.storage import feedback_sums, indexes, records, rollups, search_index
from briggs.storage.bodies import Bodies
from briggs.storage.database import Database, database_of
from briggs.storage.histories import Packing, release
from briggs.storage.queue import Write
from briggs.storage.records import SELECT, SELECT_HEADS, decode, decode_head
from briggs.storage.tables import completions, deleted_completions
from briggs.types.completions import Completion

logger = logging.getLogger(__name__)

STEP_ROWS = 256
STEP_BYTES = 4 * 1024 * 1024
TAIL_BYTES = 32 * 1024 * 1024
TAIL_S = 60.0
"""How much of what was written last is remembered, and from how long before the last of it."""

ASKED_EVERY_S = 1.0
"""How often the database is asked whether it is back."""

CLOSED_WITHIN_S = 2.0

INTERRUPTED = "interrupted"
"""What becomes of a call whose process seems to be dead. The call's own end replaces it."""


class Spooled(Protocol):
    """A record in the spool."""

    @property
    def number(self) -> int: ...

    @property
    def row(self) -> Any: ...


class Spool(Protocol):
    """A file of records. What `append` returns from survives a loss of power."""

    count: int
    bytes: int

    def append(self, rows: Sequence[tuple[int, Sequence[Any]]]) -> None: ...

    def read(
        self, columns: Sequence[str], *, count_max: int, bytes_max: int
    ) -> Sequence[Spooled]: ...

    def remove(self, *, to: int) -> None: ...

    def close(self) -> None: ...


class SpoolState(msgspec.Struct, kw_only=True, frozen=True):
    """What is kept in the spool, for people and monitors."""

    reason: str | None
    """Why the database takes nothing. None if it does."""
    count: int
    bytes: int
    bytes_max: int


class Spooling:
    """Belongs to the writer's thread, but for `describe`."""

    def __init__(self, *, database: Database, spool: Spool, bodies: Bodies, bytes_max: int) -> None:
        self.reason: str | None = None
        """Why the database takes nothing, as far as is known."""
        self._database = database
        self._spool = spool
        self._bodies = bodies
        self._bytes_max = bytes_max
        self._tail: deque[tuple[float, Write]] = deque()
        self._tail_bytes = 0
        self._is_back = threading.Event()
        self._asking: threading.Thread | None = None
        self._closed = threading.Event()
        self._step_rows = STEP_ROWS
        self._is_old = spool.count > 0
        """Whether the spool has records of a process that has ended."""

    @property
    def is_needed(self) -> bool:
        """Whether records have to go to the spool."""
        return self.reason is not None or self._spool.count > 0

    @property
    def is_full(self) -> bool:
        """Whether calls should be refused until there is room again."""
        return self._spool.bytes >= self._bytes_max

    def describe(self) -> SpoolState:
        return SpoolState(
            reason=self.reason,
            count=self._spool.count,
            bytes=self._spool.bytes,
            bytes_max=self._bytes_max,
        )

    def remember(self, writes: Sequence[Write]) -> None:
        """Note what the database has taken."""
        now = time.monotonic()
        for each in writes:
            self._tail.append((now, each))
            self._tail_bytes += each.size
        while self._tail and (self._tail_bytes > TAIL_BYTES or self._tail[0][0] < now - TAIL_S):
            self._tail_bytes -= self._tail.popleft()[1].size

    def fail(self, reason: str) -> None:
        """Note that the database takes nothing, and ask it from now on whether it is back."""
        if self.reason is None:
            logger.error("%s. Records are kept in the spool until it is back", reason)
            self.keep([write for _, write in self._tail])
            self._tail.clear()
            self._tail_bytes = 0
        self.reason = reason
        self._is_back.clear()
        if self._asking is None or not self._asking.is_alive():
            self._asking = threading.Thread(target=self._ask, name="briggs-spool", daemon=True)
            self._asking.start()

    def keep(self, writes: Sequence[Write]) -> None:
        """Add records to the spool. They are on the disk when this returns."""
        if writes:
            self._spool.append([(each.size, self._encode(each)) for each in writes])

    def go_on(self) -> bool:
        """Bring some records home, if the database is back. Returns whether it did.

        Raises the database's errors. The records then stay in the spool.
        """
        if self.reason is not None and not self._is_back.is_set():
            return False
        if self.reason is not None:
            logger.warning(
                "the database takes records again: %d are brought home", self._spool.count
            )
            self.reason = None
        if self._spool.count == 0:
            return False
        some = self._spool.read(_COLUMNS, count_max=self._step_rows, bytes_max=STEP_BYTES)
        found = [decode(each.row, bodies=self._bodies) for each in some]
        with self._database.transaction(self._database.writer):
            bring_home(self._database.writer, found, bodies=self._bodies, are_old=self._is_old)
        self._spool.remove(to=some[-1].number)
        if self._spool.count == 0:
            self._is_old, self._step_rows = False, STEP_ROWS
            logger.warning("all records of the spool are home")
        return True

    def replace_guess(self, completion: Completion) -> bool:
        """Write the end of a call that others have failed, because they took its node for dead.

        Returns whether it was one.
        """
        with self._database.transaction(self._database.writer):
            written = bring_home(
                self._database.writer, [completion], bodies=self._bodies, are_old=False
            )
        return written > 0

    def refuse(self) -> str | None:
        """Note that the database refuses some record. It is found by going on with one at a time.

        Once it is found, it leaves the spool. Returns its id.
        """
        if self._step_rows > 1:
            self._step_rows = 1
            return None
        [refused] = self._spool.read(_COLUMNS, count_max=1, bytes_max=STEP_BYTES)
        self._spool.remove(to=refused.number)
        return str(refused.row.id)

    def close(self) -> None:
        """What is in the spool stays there for the next process."""
        self._closed.set()
        if self._asking is not None:
            self._asking.join(CLOSED_WITHIN_S)
        self._spool.close()

    def _encode(self, write: Write) -> list[Any]:
        return records.encode(
            write.completion,
            started=write.started,
            packing=self._bodies,
            owner=self._database.owner,
        )

    def _ask(self) -> None:
        while not self._closed.wait(ASKED_EVERY_S):
            reason = self._database.find_failure()
            if reason is None:
                self._is_back.set()
                return
            self.reason = reason


def bring_home(
    connection: Connection, found: Sequence[Completion], *, bodies: Bodies, are_old: bool
) -> int:
    """Write completions that may be on record already, each in its last state. Returns how many
    were news.

    With `are_old`, those that are `started` were left by a process that has ended.
    """
    last = {(each.organization_id, each.id): each for each in _put_ends_last(found)}
    known, deleted = _read_known(connection, list(last))
    added = [
        each for key, each in last.items() if key not in deleted and _is_news(each, known.get(key))
    ]
    if are_old:
        for each in added:
            if each.status == "started" and each.source == "gateway":
                each.status, each.failure_kind = "failed", INTERRUPTED
                each.failure_reason = "the server died before this call ended"
    keys = [(each.organization_id, each.id) for each in added]
    replaced = [known[key] for key in keys if key in known and known[key].status == "failed"]
    if replaced:
        indexes.delete(connection, of=replaced)
        for each in replaced:
            release(connection, ids=[each.id], organization_id=each.organization_id)
            this = (_C.organization_id == each.organization_id, _C.id == each.id)
            connection.execute(completions.delete().where(*this))
    packing, database = Packing(connection, bodies=bodies), database_of(connection)
    rows = []
    for each in added:
        is_started = each.status == "started"
        # Its end will replace it, and must leave no piece behind.
        way = bodies if is_started else packing
        rows.append(records.encode(each, started=is_started, packing=way, owner=database.owner))
    if rows:
        database.insert_records(connection, rows)
        packing.write()
    indexes.create(connection, of=added)
    rollups.record(connection, added=added, removed=replaced, is_spent=True)
    search_index.note(connection, of=added)
    for organization_id in sorted({each.organization_id for each in added}):
        ids = [each.id for each in added if each.organization_id == organization_id]
        feedback_sums.note_about(connection, ids, organization_id=organization_id)
    return len(added)


def _put_ends_last(found: Sequence[Completion]) -> list[Completion]:
    """A call's start never comes after its end, whatever came to the spool first."""
    return sorted(found, key=lambda each: each.status != "started")


def _is_news(completion: Completion, known: Completion | None) -> bool:
    """Whether a completion says more than what is on record."""
    if known is None:
        return True
    if completion.status == "started":
        return False
    is_guessed = known.status == "failed" and known.failure_kind == INTERRUPTED
    return known.status == "started" or is_guessed


def _read_known(
    connection: Connection, keys: Sequence[tuple[str, str]]
) -> tuple[Mapping[tuple[str, str], Completion], set[tuple[str, str]]]:
    """Which of these completions are on record, without bodies, and which were deleted. All are
    known by organization and id.
    """
    known: dict[tuple[str, str], Completion] = {}
    deleted: set[tuple[str, str]] = set()
    places = deleted_completions.c
    for owner, some in groupby(sorted(keys), key=lambda key: key[0]):
        ids = [id for _, id in some]
        ours = SELECT_HEADS.where(_C.organization_id == owner, _C.id.in_(ids))
        for row in connection.execute(ours):
            known[owner, row.id] = decode_head(row)
        gone = select(places.id).where(places.organization_id == owner, places.id.in_(ids))
        deleted |= {(owner, id) for id in connection.scalars(gone)}
    return known, deleted


_C = completions.c
_COLUMNS = tuple(SELECT.selected_columns.keys())
