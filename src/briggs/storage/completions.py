"""Stores completions: retrieves, lists, counts, changes and deletes them."""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Select, bindparam, func, select, update

from briggs.storage import (
    counts,
    feedback_sums,
    indexes,
    lake_deletions,
    records,
    rollups,
    search_index,
)
from briggs.storage.access import Access
from briggs.storage.bodies import Bodies
from briggs.storage.counts import Count
from briggs.storage.database import database_of
from briggs.storage.deletion import delete_completions, is_deleted, revive
from briggs.storage.functions import by_key
from briggs.storage.histories import Packing, release
from briggs.storage.pages import (
    Page,
    SummaryPage,
    find_row,
    learn_hours,
    list_page,
    list_summaries,
)
from briggs.storage.pieces import find_pieces
from briggs.storage.previews import keep_preview
from briggs.storage.queries import Query
from briggs.storage.records import SELECT, SELECT_HEADS, decode, decode_head
from briggs.storage.redactor import redact_value
from briggs.storage.rows import decode as decode_row
from briggs.storage.surveys import Survey, look_over
from briggs.storage.tables import (
    completion_rules,
    completion_tags,
    completions,
)
from briggs.storage.types import AnyText
from briggs.types.completions import Completion
from briggs.types.errors import Gone

DELETED_AT_ONCE = 10
"""A call may have to wait for so many deletions, which take about three milliseconds."""

TRIES_MAX = 20
TAG_SHOWN_MAX = 200
"""A longer tag is found, but not suggested."""
IDS_MAX = 500
"""How many ids one statement may contain."""


class Completions:
    """`store.completions`. The store itself starts and settles them."""

    def __init__(
        self, access: Access, *, bodies: Bodies, discard_end: Callable[[tuple[str, str]], None]
    ) -> None:
        self._access = access
        self._bodies = bodies
        self._discard_end = discard_end
        """Told the organization and the id of a call that is deleted while it runs. Its end is not
        to be written."""

    async def retrieve(self, id: str, *, organization_id: str) -> Completion | None:
        """Find a completion by our id, or else the newest one with this upstream `response_id`."""
        return await self._access.read(
            lambda connection: _retrieve(
                connection, id=id, organization_id=organization_id, bodies=self._bodies
            )
        )

    async def retrieve_many(
        self, ids: Iterable[str], *, organization_id: str
    ) -> Mapping[str, Completion]:
        """Find completions by our ids. Returns the ones that exist, by id."""
        wanted = sorted(set(ids))
        return await self._access.read(
            lambda connection: _retrieve_many(
                connection, ids=wanted, organization_id=organization_id, bodies=self._bodies
            )
        )

    async def learn_hours(self, *, organization_id: str) -> bool:
        """Learn for a moment what each hour has, which lists would learn otherwise. Returns whether
        nothing is left to learn.
        """
        return await self._access.read(
            lambda connection: learn_hours(connection, organization_id=organization_id)
        )

    async def retrieve_labels(
        self, ids: Iterable[str], *, organization_id: str
    ) -> Mapping[str, Completion]:
        """As `retrieve_many`, with times, models and tags only, which is several times as fast."""
        wanted = sorted(set(ids))
        return await self._access.read(
            lambda connection: _retrieve_labels(
                connection, ids=wanted, organization_id=organization_id
            )
        )

    async def list_tries(
        self, completion: Completion, *, organization_id: str
    ) -> Sequence[Completion]:
        """The calls with which a caller asked the same, the first first, with few members.

        Empty if the caller asked once, as far as is known.
        """
        first = completion.retry_of or completion.id
        return await self._access.read(
            lambda connection: _list_tries(connection, first=first, organization_id=organization_id)
        )

    async def list(self, query: Query) -> Page:
        """One page of the query's completions. Raises `InvalidRequest` for an unknown `after`."""
        return await self._access.read(
            lambda connection: list_page(connection, query=query, bodies=self._bodies)
        )

    async def list_summaries(self, query: Query) -> SummaryPage:
        """One page, with what a list shows of each completion instead of its bodies."""
        return await self._access.read(
            lambda connection: list_summaries(connection, query=query, bodies=self._bodies)
        )

    async def look_over(self, query: Query, *, bins: int) -> Survey:
        """Count the query's completions by time, model, tag and more, as far as that is quick."""
        return await self._access.read(
            lambda connection: look_over(connection, query=query, bins=bins, bodies=self._bodies)
        )

    async def count(self, query: Query) -> Count:
        """Count the query's completions, as far as that is possible quickly."""
        return await self._access.read(
            lambda connection: counts.count(connection, query=query, bodies=self._bodies)
        )

    async def list_tags(
        self, *, organization_id: str, text: str = "", limit: int = 100
    ) -> Sequence[str]:
        """The tags that contain a text, ignoring case. If a tag equals the text, only that tag."""
        return await self._access.read(
            lambda connection: _list_tags(
                connection, organization_id=organization_id, text=text, limit=limit
            )
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
        return await self._access.act(
            lambda connection: _relabel(
                connection,
                id=id,
                organization_id=organization_id,
                bodies=self._bodies,
                tags=redact_value(self._access.redactor, tags),
                metadata=redact_value(self._access.redactor, metadata),
            )
        )

    async def record_violates(self, found: Mapping[tuple[str, str], Sequence[str]]) -> None:
        """Store which rules the upstream's answers break, once settled, by organization and id."""
        await self._access.act(lambda connection: _record_violates(connection, found=found))

    async def merge(
        self,
        id: str,
        *,
        organization_id: str,
        change: Callable[[Completion | None], Completion],
    ) -> Completion:
        """Replace a completion, or its absence, by what `change` returns, and return that.

        Used for calls that clients report, in pieces and in any order. `change` runs in the
        writer's thread and must only compute. Raises `Gone` if it was deleted.
        """
        redactor = self._access.redactor

        def change_and_redact(before: Completion | None) -> Completion:
            after = change(before)
            return after if redactor is None else redactor.redact(after)

        return await self._access.act(
            lambda connection: _merge(
                connection,
                id=id,
                organization_id=organization_id,
                change=change_and_redact,
                bodies=self._bodies,
            )
        )

    async def create_missing(self, of: Sequence[Completion], *, organization_id: str) -> set[str]:
        """Store completions that come from another record, in one transaction.

        Those whose id is on record already are left out, and those that were deleted are back.
        Returns the ids of the former.
        """
        redactor = self._access.redactor
        if redactor is not None:
            of = await asyncio.to_thread(lambda: [redactor.redact(each) for each in of])
        return await self._access.act(
            lambda connection: _create_missing(
                connection, of=of, organization_id=organization_id, bodies=self._bodies
            )
        )

    async def delete(self, id: str, *, organization_id: str) -> bool:
        """Delete a completion for good, with its feedback. Returns False if there is none.

        Its bytes leave the files within moments: see `erasure.py`.
        """
        return bool(await self._delete_some([id], organization_id=organization_id))

    async def delete_all(self, query: Query) -> int:
        """Delete all completions that the query selects for good. Returns how many.

        They go in steps, so that calls are recorded between them. If this is interrupted, those
        that were deleted stay deleted.
        """
        deleted = 0
        page = msgspec.structs.replace(query, limit=DELETED_AT_ONCE, payloads=False)
        while found := [each.id for each in (await self.list(page)).completions]:
            deleted += await self._delete_some(found, organization_id=query.organization_id)
            page = msgspec.structs.replace(page, after=found[-1])
        return deleted

    async def _delete_some(self, ids: Sequence[str], *, organization_id: str) -> int:
        deleted = await self._access.act(
            lambda connection: _delete(connection, ids=ids, organization_id=organization_id),
            then=self._discard,
        )
        return len(deleted)

    def _discard(self, deleted: Iterable[Completion]) -> None:
        for each in deleted:
            if each.status == "started":
                self._discard_end((each.organization_id, each.id))


def _retrieve(
    connection: Connection, *, id: str, organization_id: str, bodies: Bodies
) -> Completion | None:
    with database_of(connection).snapshot(connection):
        row = find_row(connection, SELECT, id=id, organization_id=organization_id)
        if row is None:
            return None
        return decode(row, bodies=find_pieces(connection, [row], bodies=bodies))


def _retrieve_many(
    connection: Connection, *, ids: Sequence[str], organization_id: str, bodies: Bodies
) -> dict[str, Completion]:
    with database_of(connection).snapshot(connection):
        rows = [*_read_many(connection, SELECT, ids=ids, organization_id=organization_id)]
        pieces = find_pieces(connection, rows, bodies=bodies)
    return {row.id: decode(row, bodies=pieces) for row in rows}


def _retrieve_labels(
    connection: Connection, *, ids: Sequence[str], organization_id: str
) -> dict[str, Completion]:
    found = _read_many(connection, _SELECT_LABELS, ids=ids, organization_id=organization_id)
    return {each.id: each for each in (decode_row(row, Completion) for row in found)}


def _list_tries(connection: Connection, *, first: str, organization_id: str) -> list[Completion]:
    again = _SELECT_TRIES.where(
        completions.c.organization_id == organization_id, completions.c.retry_of == first
    )
    rows = connection.execute(again.order_by(completions.c.retry_count).limit(TRIES_MAX)).all()
    if not rows:
        return []
    begun = _read_many(connection, _SELECT_TRIES, ids=[first], organization_id=organization_id)
    return [decode_row(row, Completion) for row in (*begun, *rows)]


def _list_tags(connection: Connection, *, organization_id: str, text: str, limit: int) -> list[str]:
    """The index has a row per tag and completion, so the search jumps from tag to tag."""
    ours = {"organization": organization_id}
    if connection.scalar(_THIS_TAG, {**ours, "tag": text}) is not None:
        return [text]
    found: list[str] = []
    tag: str | None = connection.scalar(_FIRST_TAG, ours)
    while tag is not None and len(found) < limit:
        if len(tag) <= TAG_SHOWN_MAX and text.lower() in tag.lower():
            found.append(tag)
        tag = connection.scalar(_NEXT_TAG, {**ours, "tag": tag})
    return found


def _relabel(
    connection: Connection,
    *,
    id: str,
    organization_id: str,
    bodies: Bodies,
    tags: list[str] | None = None,
    metadata: dict[str, str] | None = None,
) -> bool:
    found = _retrieve_many(
        connection, ids=[id], organization_id=organization_id, bodies=bodies
    ).get(id)
    if found is None:
        return False
    indexes.delete(connection, of=[found])
    are_new = tags is not None and tags != found.tags
    found.tags = found.tags if tags is None else tags
    found.metadata = found.metadata if metadata is None else metadata
    connection.execute(
        update(completions)
        .where(*_this(id, organization_id=organization_id))
        .values(tags=found.tags, metadata=found.metadata)
    )
    indexes.create(connection, of=[found])
    if are_new:
        # Results of tasks have means by tag.
        feedback_sums.note_about(connection, [id], organization_id=organization_id)
    lake_deletions.demand(connection, of=[found])
    return True


def _record_violates(
    connection: Connection, *, found: Mapping[tuple[str, str], Sequence[str]]
) -> None:
    if not found:
        return
    columns = completions.c
    this = (columns.organization_id == bindparam("of_owner"), columns.id == bindparam("of"))
    connection.execute(
        update(completions).where(*this).values(violates=bindparam("rules")),
        [{"of_owner": owner, "of": id, "rules": rules} for (owner, id), rules in found.items()],
    )
    rule = bindparam("rule", type_=AnyText)
    place = select(columns.organization_id, rule, columns.created_at, columns.id)
    connection.execute(
        completion_rules.insert().from_select(list(completion_rules.columns), place.where(*this)),
        [
            {"of_owner": owner, "of": id, "rule": rule}
            for (owner, id), rules in found.items()
            for rule in rules
        ],
    )


def _merge(
    connection: Connection,
    *,
    id: str,
    organization_id: str,
    change: Callable[[Completion | None], Completion],
    bodies: Bodies,
) -> Completion:
    this, database = _this(id, organization_id=organization_id), database_of(connection)
    row = connection.execute(SELECT.add_columns(completions.c.owner).where(*this)).first()
    before, owner = None, database.owner
    if row is not None:
        owner = row.owner
        before = decode(row, bodies=find_pieces(connection, [row], bodies=bodies))
    # `change` may edit what it is given.
    removed = [] if before is None else [msgspec.structs.replace(before)]
    if before is not None:
        indexes.delete(connection, of=[before])
    elif is_deleted(connection, id, organization_id=organization_id):
        raise Gone(f"The completion '{id}' was deleted, and stays deleted.", param="id")
    after = change(before)
    if after.bodies_deleted_at is not None:
        # A client tells more of a call whose bodies were kept for long enough.
        after.request, after.response, after.received = b"", None, None
    if before is not None:
        release(connection, ids=[id], organization_id=organization_id)
        connection.execute(completions.delete().where(*this))
    packing = Packing(connection, bodies=bodies)
    values = records.encode(after, started=False, packing=packing, owner=owner)
    database.insert_records(connection, [values])
    packing.write()
    keep_preview(connection, of=after)
    indexes.create(connection, of=[after])
    rollups.record(connection, added=[after], removed=removed)
    feedback_sums.note_about(connection, [id], organization_id=organization_id)
    search_index.note(connection, of=[after, *removed])
    if removed and removed[0].status != "started":
        lake_deletions.demand(connection, of=[after])
    return after


def _create_missing(
    connection: Connection, *, of: Sequence[Completion], organization_id: str, bodies: Bodies
) -> set[str]:
    assert all(each.organization_id == organization_id for each in of), "they are of another"
    ids = [each.id for each in of]
    found = _read_many(
        connection, select(completions.c.id), ids=ids, organization_id=organization_id
    )
    there = {row.id for row in found}
    added = [each for each in of if each.id not in there]
    packing = Packing(connection, bodies=bodies)
    rows = [records.encode(each, started=False, packing=packing) for each in added]
    database_of(connection).insert_records(connection, rows)
    packing.write()
    for each in added:
        keep_preview(connection, of=each)
    indexes.create(connection, of=added)
    rollups.record(connection, added=added)
    feedback_sums.note_about(
        connection, [each.id for each in added], organization_id=organization_id
    )
    search_index.note(connection, of=added)
    revive(connection, of=added)
    return there


def _delete(
    connection: Connection, *, ids: Sequence[str], organization_id: str
) -> Sequence[Completion]:
    """Delete completions. Returns them without their bodies."""
    rows = _read_many(connection, SELECT_HEADS, ids=ids, organization_id=organization_id)
    found = [decode_head(row) for row in rows]
    delete_completions(connection, found=found)
    if any(each.status == "started" for each in found):
        # Whoever answers it must not record its end.
        database_of(connection).note_change(connection)
    return found


_FIRST_TAG = select(func.min(completion_tags.c.tag)).where(
    completion_tags.c.organization_id == bindparam("organization")
)
_THIS_TAG = _FIRST_TAG.where(completion_tags.c.tag == bindparam("tag"))
_NEXT_TAG = _FIRST_TAG.where(completion_tags.c.tag > bindparam("tag"))

_LABELS = ("id", "organization_id", "created_at", "model", "response_model", "tags")
_SELECT_LABELS = select(*(completions.c[name] for name in _LABELS))
_TRY = ("id", "organization_id", "created_at", "status", "retry_count", "retry_of")
_SELECT_TRIES = select(*(completions.c[name] for name in _TRY))


def select_many(statement: Select[Any], *, ids: Sequence[str], organization_id: str) -> Select[Any]:
    """The rows with these ids, of one organization."""
    ours = completions.c.organization_id == organization_id
    return by_key(statement.where(ours, completions.c.id.in_(ids)), completions)


def _this(id: str, *, organization_id: str) -> Sequence[ColumnElement[bool]]:
    return (completions.c.organization_id == organization_id, completions.c.id == id)


def _read_many(
    connection: Connection, statement: Select[Any], *, ids: Sequence[str], organization_id: str
) -> Iterator[Any]:
    for begin in range(0, len(ids), IDS_MAX):
        some = ids[begin : begin + IDS_MAX]
        yield from connection.execute(
            select_many(statement, ids=some, organization_id=organization_id)
        )
