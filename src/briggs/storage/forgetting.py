"""Drops the completions of whole days, where a database keeps them in partitions by time.

A partition is due once the term for all completions is over for its last day. It is taken out of
the record in one step, with all sums, places in queues and words from before its end. Whatever else
is stored about its completions is deleted afterwards, step by step, and then it is dropped.
Completions from before its end that are in no due partition, because their ids are those of clients
or were made later, are deleted one by one: see `retention.py`.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import groupby
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    and_,
    delete,
    not_,
    or_,
    select,
    tuple_,
    update,
)

from briggs.storage import (
    deletion,
    erasure,
    feedback_counts,
    histories,
    lake_deletions,
    rollups,
    search_index,
)
from briggs.storage.database import Partition, database_of
from briggs.storage.errors import Busy
from briggs.storage.pieces import list_users
from briggs.storage.records import decode_head, list_heads
from briggs.storage.tables import backfills, completions, feedback_queue, organizations
from briggs.types.completions import create_first_id, current_time_us
from briggs.types.limits import DAY_US
from briggs.types.retention import Term

logger = logging.getLogger(__name__)

PARTITIONS_A_TERM = 16
"""A term has about so many partitions. Each costs a statement that reads all of them some time."""
DAYS_MIN = 2
"""A term of fewer days has no partitions. Its completions are deleted one by one."""
AHEAD = 4
"""How many partitions are made at once, before the first of them is needed."""

STEP_ROWS = 50
EVERY_S = 0.25
"""How often a step is taken while there is no idle moment."""
ROUND_S = 60.0
RETRY_S = 60.0

_PREFIX = "forgotten "


def has_ended(of: Table) -> ColumnElement[bool]:
    """Whether Briggs answers a call no longer. Only its client knows when a logged call ends."""
    return or_(of.c.status != "started", of.c.source == "client")


class Forgetting:
    """Makes partitions ahead, and drops those that are due. Belongs to the writer's thread."""

    def __init__(self, connection: Connection) -> None:
        self.terms: Sequence[Term] = ()
        """Replaced as a whole, from any thread."""
        self._connection = connection
        self._applied: Sequence[Term] = ()
        self._taken: Table | None = None
        self._at = 0.0

    @property
    def waits(self) -> bool:
        """Whether a partition is taken out that is not dropped yet."""
        return self._taken is not None

    def go_on(self, *, idle: bool) -> bool:
        """Take a step if it is time. Returns whether it was. An error is tried again later."""
        now = time.monotonic()
        if self.terms is not self._applied:
            self._applied, self._at = self.terms, 0.0
        if database_of(self._connection).partitions is None or now < self._at:
            return False
        self._at = now + RETRY_S
        try:
            self._begin()
        except Busy as error:
            logger.info("partitions are made and dropped later: %s", error)
            return False
        if self._taken is None:
            self._at = now + ROUND_S
            return False
        if step(self._connection, self._taken):
            self._taken = None
        self._at = now + (0 if idle else EVERY_S)
        return True

    def _begin(self) -> None:
        partitions = database_of(self._connection).partitions
        assert partitions is not None, "only called if there are partitions"
        if self._taken is None:
            self._make()
            self._taken = partitions.find_taken(self._connection)
        if self._taken is None:
            self._taken = self._take()

    def _make(self) -> None:
        if (term := find_term(self._applied)) is None:
            return
        with database_of(self._connection).migration(self._connection):
            make_partitions(self._connection, term, now_us=current_time_us())

    def _take(self) -> Table | None:
        if (term := find_term(self._applied)) is None:
            return None
        for partition in list_due(self._connection, term, now_us=current_time_us())[:1]:
            return take(self._connection, partition)
        return None


def find_term(terms: Sequence[Term]) -> Term | None:
    """The shortest term after which every completion is deleted, if partitions have that long."""
    general = [
        each
        for each in terms
        if each.what == "metadata" and each.tag is None and each.organization is None
    ]
    shortest = min(general, key=lambda each: each.span_us, default=None)
    return shortest if shortest and shortest.span_us >= DAYS_MIN * DAY_US else None


def make_partitions(connection: Connection, term: Term, *, now_us: int) -> None:
    """Make the next partitions, if fewer than half of those ahead are left."""
    partitions = database_of(connection).partitions
    assert partitions is not None, "only called if there are partitions"
    found = partitions.list(connection)
    if len([each for each in found if each.begin > now_us]) >= AHEAD // 2:
        return
    days = max(1, math.ceil(term.span_us / DAY_US / PARTITIONS_A_TERM))
    tomorrow = (now_us // DAY_US + 1) * DAY_US
    begin = max(tomorrow, *(each.end for each in found)) if found else tomorrow
    partitions.make(connection, begin=begin, days=days, count=AHEAD)


def list_due(connection: Connection, term: Term, *, now_us: int) -> list[Partition]:
    """The partitions whose completions are all older than a term, the oldest first."""
    partitions = database_of(connection).partitions
    found = [] if partitions is None else partitions.list(connection)
    return [each for each in found if each.end <= now_us - term.span_us]


def is_left(connection: Connection, term: Term, *, now_us: int) -> ColumnElement[bool]:
    """Whether a completion is deleted by itself, as those are that no partition drops."""
    partitions = database_of(connection).partitions
    found = [] if partitions is None else partitions.list(connection)
    if not found:
        return completions.c.created_at <= now_us - term.span_us
    due = list_due(connection, term, now_us=now_us)
    end = due[-1].end if due else found[0].begin
    low, due_end, high = (create_first_id(at) for at in (found[0].begin, end, found[-1].end))
    id, created_at = completions.c.id, completions.c.created_at
    return or_(
        and_(created_at <= now_us - term.span_us, or_(id < low, id >= high)),
        and_(created_at < end, id >= due_end),
    )


def _is_kept(partition: Partition, of: Table) -> ColumnElement[bool]:
    return or_(not_(has_ended(of)), of.c.created_at >= partition.end)


class _NotYet(Exception):
    """Completions from before the end of a partition are still in the rest."""


def take(connection: Connection, partition: Partition) -> Table | None:
    """Take a partition out of the record. Returns None if others have to be deleted before."""
    database = database_of(connection)
    assert database.partitions is not None, "only called for a partition"
    try:
        with _committed(connection):
            if (taken := database.partitions.find_taken(connection)) is None:
                database.partitions.take(connection, partition, kept=partial(_is_kept, partition))
                _forget_what_was_before(connection, partition.end)
                taken = database.partitions.find_taken(connection)
                place = {"name": f"{_PREFIX}{partition.end}", "after_id": ""}
                connection.execute(backfills.insert().values(place))
    except _NotYet:
        return None
    return taken


@contextmanager
def _committed(connection: Connection) -> Iterator[None]:
    database = database_of(connection)
    with database.migration(connection):
        yield
        database.note_change(connection)
    # What is remembered of them may be of dropped completions.
    database.remembered.clear()
    database.zones.forget()


def _forget_what_was_before(connection: Connection, end: int) -> None:
    """Delete the sums, words and places in queues of all completions from before a time."""
    ids = connection.scalars(select(organizations.c.id)).all()
    for id in ids:
        ours = (
            completions.c.organization_id == id,
            completions.c.created_at < end,
            has_ended(completions),
        )
        if connection.execute(select(completions.c.id).where(*ours).limit(1)).first() is not None:
            raise _NotYet
    for id in ids:
        rollups.forget(connection, organization_id=id, before=end)
        search_index.forget_before(connection, organization_id=id, before=end)
        queue = feedback_queue.c
        places = (queue.organization_id == id, queue.created_at < end)
        removed = connection.execute(select(queue.task_id, queue.open).where(*places))
        feedback_counts.remove(
            connection, organization_id=id, removed=[(row[0], row[1]) for row in removed]
        )
        connection.execute(delete(feedback_queue).where(*places))


def find_forgotten(connection: Connection) -> int:
    """Until when completions are being forgotten, so that tables may still name some."""
    names = connection.scalars(select(backfills.c.name)).all()
    ends = [int(name.removeprefix(_PREFIX)) for name in names if name.startswith(_PREFIX)]
    return max(ends, default=0)


def step(connection: Connection, taken: Table) -> bool:
    """Delete what is stored about the next completions of a taken partition. After the last, drop
    it and return True.
    """
    database = database_of(connection)
    with database.migration(connection):
        return _step(connection, taken)


def _step(connection: Connection, taken: Table) -> bool:
    database = database_of(connection)
    assert database.partitions is not None, "only called for a partition"
    name, columns = _PREFIX + "%", backfills.c
    this = columns.name.like(name)
    place = connection.execute(
        select(columns.after_organization_id, columns.after_id).where(this)
    ).first()
    found = database.partitions.find_taken(connection)
    if place is None or found is None or found.name != taken.name:
        # Another process has dropped it.
        return True
    keys = tuple_(taken.c.organization_id, taken.c.id)
    page = select(*list_heads(taken), *list_users(taken)).where(keys > tuple(place))
    rows = connection.execute(
        page.order_by(taken.c.organization_id, taken.c.id).limit(STEP_ROWS)
    ).all()
    known = {*connection.scalars(select(organizations.c.id))}
    for organization_id, some in groupby(rows, key=lambda row: row.organization_id):
        if organization_id in known:
            _forget(connection, list(some), organization_id=organization_id)
    if rows:
        last = {"after_organization_id": rows[-1].organization_id, "after_id": rows[-1].id}
        connection.execute(update(backfills).where(this).values(last))
        return False
    connection.execute(delete(backfills).where(this))
    database.partitions.drop_taken(connection, taken)
    erasure.demand(connection)
    return True


def _forget(connection: Connection, rows: Sequence[Any], *, organization_id: str) -> None:
    histories.release_rows(connection, rows, organization_id=organization_id)
    found = [decode_head(row) for row in rows]
    ours = completions.c.organization_id == organization_id
    # A client may have logged a call again.
    again = {
        *connection.scalars(
            select(completions.c.id).where(ours, completions.c.id.in_([each.id for each in found]))
        )
    }
    gone = [each for each in found if each.id not in again]
    deletion.delete_traces(connection, found=gone)
    lake_deletions.demand(connection, of=gone)
