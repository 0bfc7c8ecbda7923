"""Deletes what has been kept for long enough, step by step, while calls are answered."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import ColumnElement, Connection, Select, and_, func, select, tuple_

from briggs.storage import (
    deletion,
    erasure,
    feedback,
    histories,
    lake_deletions,
    search_index,
    signed_calls,
)
from briggs.storage.access import Access
from briggs.storage.bodies import Bodies
from briggs.storage.database import database_of
from briggs.storage.forgetting import Forgetting, has_ended, is_left
from briggs.storage.records import BODY_BYTES, SELECT_HEADS, decode_head
from briggs.storage.tables import completion_tags, completions, organizations
from briggs.types.completions import current_time_us
from briggs.types.retention import Term

STEP_ROWS = 200
"""Rows that are read in one step."""
STEP_CHANGES = 4
STEP_BYTES = 256 * 1024
"""So many completions, and so much of their bodies, are deleted in one step. A call may have to
wait for it, which takes one or two milliseconds."""

EVERY_S = 0.25
"""How often a step is taken while there is no idle moment."""
ROUND_S = 60.0
"""How often it is looked whether more is old enough."""
ANEW_S = 24 * 3600.0
"""How often all completions are gone through again. Some get a tag later, and clients may log
calls long after they happened."""
RETRY_S = 60.0
ERASED_WITHIN_S = 3600.0
"""Reading the whole database so often, to overwrite what is left of deleted rows, costs little."""


class Due(NamedTuple):
    """A term, and how many completions it is about."""

    term: Term
    completions: int


class _Place(NamedTuple):
    """The completion that a sweep has come to."""

    created_at: int
    id: Any


_BEGINNING = _Place(-1, "")


class _Sweep(msgspec.Struct, frozen=True):
    """A term, for one organization."""

    term: Term
    organization_id: str


class Sweeper:
    """Applies the terms, one after the other. Belongs to the writer's thread."""

    def __init__(self, connection: Connection, *, bodies: Bodies) -> None:
        self.terms: Sequence[Term] = ()
        """Replaced as a whole, from any thread."""
        self._connection = connection
        self._bodies = bodies
        self._applied: Sequence[Term] = ()
        self._left: list[_Sweep] = []
        self._places: dict[_Sweep, _Place] = {}
        self._at = self._anew_at = 0.0

    @property
    def waits(self) -> bool:
        """Whether there may be something to delete."""
        return bool(self._left)

    def go_on(self, *, idle: bool) -> bool:
        """Take a step if it is time. Returns whether it was. An error is tried again later."""
        now = time.monotonic()
        if self.terms is not self._applied:
            self._applied, self._left = self.terms, []
            self._at = self._anew_at = 0.0
        if now < self._at or not self._applied:
            return False
        self._at = now + RETRY_S
        if not self._left:
            self._begin(now)
        if self._left:
            self._step(self._left[-1])
        self._at = now + (ROUND_S if not self._left else 0 if idle else EVERY_S)
        return bool(self._left)

    def _begin(self, now: float) -> None:
        if now >= self._anew_at:
            self._places, self._anew_at = {}, now + ANEW_S
        names = self._connection.execute(select(organizations.c.id, organizations.c.slug)).all()
        self._left = [
            _Sweep(term, id)
            for term in self._applied
            for id, slug in names
            if term.organization in (None, id, slug)
        ]

    def _step(self, sweep: _Sweep) -> None:
        with database_of(self._connection).transaction(self._connection):
            _, place = _delete_some(
                self._connection,
                sweep,
                after=self._places.get(sweep, _BEGINNING),
                now_us=current_time_us(),
                bodies=self._bodies,
            )
        if place is None:
            self._left.remove(sweep)
        else:
            self._places[sweep] = place


class Retention:
    """`store.retention`."""

    def __init__(
        self, access: Access, *, sweeper: Sweeper, forgetting: Forgetting, bodies: Bodies
    ) -> None:
        self._access = access
        self._sweeper = sweeper
        self._forgetting = forgetting
        self._bodies = bodies

    @property
    def terms(self) -> Sequence[Term]:
        """The terms by which the record is kept now."""
        return self._sweeper.terms

    def use(self, terms: Sequence[Term]) -> None:
        """Keep the record by these terms from now on."""
        self._sweeper.terms = self._forgetting.terms = terms

    async def count(self, *, organization_id: str) -> Sequence[Due]:
        """What would be deleted of an organization now. A completion may count several times."""
        sweeps, now_us = await self._list_sweeps(organization_id), current_time_us()
        return [
            Due(each.term, await self._access.read(_counter(each, now_us=now_us)))
            for each in sweeps
        ]

    async def run(self, *, organization_id: str) -> Sequence[Due]:
        """Delete what is old enough now. Returns how much that was."""
        done: list[Due] = []
        for each in await self._list_sweeps(organization_id):
            deleted, place = 0, _BEGINNING
            while place is not None:
                count, place = await self._access.act(self._stepper(each, after=place))
                deleted += count
            done.append(Due(each.term, deleted))
        return done

    def _stepper(self, sweep: _Sweep, *, after: _Place) -> Any:
        return lambda connection: _delete_some(
            connection, sweep, after=after, now_us=current_time_us(), bodies=self._bodies
        )

    async def _list_sweeps(self, organization_id: str) -> Sequence[_Sweep]:
        ours = select(organizations.c.slug).where(organizations.c.id == organization_id)
        slug = await self._access.read(lambda connection: connection.scalar(ours))
        return [
            _Sweep(term, organization_id)
            for term in self._sweeper.terms
            if term.organization in (None, organization_id, slug)
        ]


def _delete_some(
    connection: Connection, sweep: _Sweep, *, after: _Place, now_us: int, bodies: Bodies
) -> tuple[int, _Place | None]:
    """Delete what the next completions after a place have. Returns how many had something, and
    the place to go on from, or None at the end.
    """
    page = _select_old(connection, sweep, now_us=now_us, after=after).limit(STEP_ROWS)
    rows = connection.execute(page).all()
    if not rows:
        return 0, None
    due: list[Any] = []
    size, last = 0, rows[-1]
    for row in rows:
        if not row.is_due:
            continue
        due.append(row)
        size += row.size
        if len(due) >= STEP_CHANGES or size >= STEP_BYTES:
            last = row
            break
    ids = [row.id for row in due]
    if ids and sweep.term.what == "metadata":
        ours = _COLUMNS.organization_id == sweep.organization_id
        heads = connection.execute(SELECT_HEADS.where(ours, _COLUMNS.id.in_(ids)))
        deletion.delete_completions(
            connection,
            found=[decode_head(each) for each in heads],
            erased_within_s=ERASED_WITHIN_S,
        )
    elif ids:
        _delete_bodies(connection, ids, sweep=sweep, now_us=now_us, bodies=bodies)
        said = [(sweep.organization_id, row.created_at) for row in due]
        times = [row.created_at for row in due]
        lake_deletions.demand_by_id(
            connection, ids, times=times, organization_id=sweep.organization_id
        )
        search_index.note_times(connection, said)
    return len(ids), _Place(last.created_at, last.id)


def _delete_bodies(
    connection: Connection, ids: Sequence[str], *, sweep: _Sweep, now_us: int, bodies: Bodies
) -> None:
    histories.release(connection, ids=ids, organization_id=sweep.organization_id)
    empty = bodies.compress(b"")
    owner = sweep.organization_id
    database_of(connection).empty_records(connection, [(empty, now_us, owner, id) for id in ids])
    signed_calls.delete(connection, organization_id=owner, completion_ids=ids)
    deletion.leave_queues(connection, ids, organization_id=owner)
    feedback.forget_corrections(connection, organization_id=owner, completion_ids=ids)
    erasure.demand(connection, within_s=ERASED_WITHIN_S)


def _counter(sweep: _Sweep, *, now_us: int) -> Any:
    def count(connection: Connection) -> int:
        old = _select_old(connection, sweep, now_us=now_us, after=_BEGINNING)
        rows = old.order_by(None).subquery()
        return connection.scalar(select(func.count()).select_from(rows).where(rows.c.is_due)) or 0

    return count


_COLUMNS = completions.c


def _select_old(
    connection: Connection, sweep: _Sweep, *, now_us: int, after: _Place
) -> Select[Any]:
    """The completions that are older than the term says, from a place on, and what they have."""
    term = sweep.term
    is_due: ColumnElement[bool] = has_ended(completions)
    if term.what == "bodies":
        is_due = and_(is_due, _COLUMNS.bodies_deleted_at.is_(None))
    statement = select(
        _COLUMNS.id, _COLUMNS.created_at, BODY_BYTES.label("size"), is_due.label("is_due")
    )
    created_at, id, owner = _COLUMNS.created_at, _COLUMNS.id, _COLUMNS.organization_id
    if term.tag is not None:
        tagged = completion_tags.c
        created_at, id, owner = tagged.created_at, tagged.completion_id, tagged.organization_id
        statement = statement.join(
            completion_tags,
            and_(
                tagged.organization_id == _COLUMNS.organization_id,
                tagged.completion_id == _COLUMNS.id,
            ),
        ).where(tagged.tag == term.tag)
    if term.what == "metadata" and term.tag is None and term.organization is None:
        # What goes with a part of the record is left to that: see `forgetting.py`.
        statement = statement.where(is_left(connection, term, now_us=now_us))
    return statement.where(
        owner == sweep.organization_id,
        created_at <= now_us - term.span_us,
        created_at >= after.created_at,
        tuple_(created_at, id) > after,
    ).order_by(created_at, id)
