"""Stores sessions. Their totals are computed from their completions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, case, func, select

from briggs.storage import erasure
from briggs.storage.access import Access
from briggs.storage.bodies import Bodies
from briggs.storage.database import database_of
from briggs.storage.previews import read_previews
from briggs.storage.tables import completions, is_of_session, sessions
from briggs.storage.usage import counted, estimated
from briggs.types.sessions import Session
from briggs.wires.recorded.preview import Preview


class Sessions:
    """`store.sessions`. A session that a completion names exists without being created."""

    def __init__(self, access: Access, *, bodies: Bodies) -> None:
        self._access = access
        self._bodies = bodies

    async def create(self, session: Session) -> None:
        """Store a session. If it exists already, nothing changes."""
        row = (session.organization_id, session.id, session.created_at)
        await self._access.act(
            lambda connection: database_of(connection).insert_missing(connection, sessions, [row])
        )

    async def delete(self, id: str, *, organization_id: str) -> bool:
        """Delete a session. Its completions stay. Returns False if there is none."""
        return await self._access.act(
            lambda connection: _delete(connection, id=id, organization_id=organization_id)
        )

    async def retrieve(self, id: str, *, organization_id: str) -> Session | None:
        """One session, with its totals."""
        page = select(sessions).where(
            sessions.c.organization_id == organization_id, sessions.c.id == id
        )
        found = await self._access.read(lambda connection: _read(connection, page))
        return found[0] if found else None

    async def list(self, *, organization_id: str, limit: int, offset: int = 0) -> Sequence[Session]:
        """A page of sessions, newest first, each with its totals."""
        page = (
            select(sessions)
            .where(sessions.c.organization_id == organization_id)
            .order_by(sessions.c.created_at.desc(), sessions.c.id.desc())
            .limit(limit)
            .offset(offset)
        )
        return await self._access.read(lambda connection: _read(connection, page))

    async def list_openings(
        self, ids: Sequence[str], *, organization_id: str
    ) -> Mapping[str, Preview]:
        """What the first call of each of these sessions was about, as far as that is known."""
        return await self._access.read(
            lambda connection: _list_openings(
                connection, ids=ids, organization_id=organization_id, bodies=self._bodies
            )
        )


def _list_openings(
    connection: Connection, *, ids: Sequence[str], organization_id: str, bodies: Bodies
) -> dict[str, Preview]:
    call, columns = completions.alias(), sessions.c
    id, session_id = (
        select(each)
        .where(
            call.c.organization_id == columns.organization_id,
            *is_of_session(columns.id, call),
        )
        .order_by(call.c.created_at)
        .limit(1)
        .scalar_subquery()
        for each in (call.c.id, call.c.session_id)
    )
    these = (columns.organization_id == organization_id, columns.id.in_(ids))
    rows = connection.execute(select(session_id, id).where(*these))
    found = {row[0]: row[1] for row in rows}
    previews = read_previews(
        connection,
        ids=list(filter(None, found.values())),
        organization_id=organization_id,
        bodies=bodies,
    )
    return {id: shown for id, call in found.items() if (shown := previews.get(call)) is not None}


def _delete(connection: Connection, *, id: str, organization_id: str) -> bool:
    erasure.demand(connection)
    this = (sessions.c.organization_id == organization_id) & (sessions.c.id == id)
    return connection.execute(sessions.delete().where(this)).rowcount > 0


def _read(connection: Connection, page: Select[Any]) -> list[Session]:
    """The sessions of a page. Only these are summed up, using the index by session."""
    listed = page.subquery()
    of_session = completions.c
    statement = (
        select(
            listed,
            func.count(of_session.id),
            func.count(case((of_session.status == "failed", 1))),
            func.coalesce(counted(of_session.prompt_tokens), 0),
            func.coalesce(counted(of_session.completion_tokens), 0),
            counted(of_session.cost_usd),
            func.coalesce(estimated(of_session.total_tokens), 0),
            estimated(of_session.cost_usd),
            func.coalesce(func.sum(of_session.duration_ms), 0.0),
            func.max(of_session.created_at),
            # The table of sessions may have a shorter form.
            func.coalesce(func.max(of_session.session_id), listed.c.id),
        )
        .select_from(listed)
        .outerjoin(
            completions,
            and_(
                of_session.organization_id == listed.c.organization_id,
                *is_of_session(listed.c.id),
            ),
        )
        .group_by(listed.c.organization_id, listed.c.id, listed.c.created_at)
        .order_by(listed.c.created_at.desc(), listed.c.id.desc())
    )
    return [_decode(row) for row in connection.execute(statement)]


def _decode(row: Row[Any]) -> Session:
    organization_id, _, created_at, *totals, id = tuple[Any, ...](row)
    return Session(
        organization_id=organization_id,
        id=id,
        created_at=created_at,
        completions=totals[0],
        failed=totals[1],
        prompt_tokens=totals[2],
        completion_tokens=totals[3],
        cost_usd=totals[4],
        estimated_tokens=totals[5],
        estimated_cost_usd=totals[6],
        duration_ms=totals[7],
        last_completion_at=totals[8],
    )
