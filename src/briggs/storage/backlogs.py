"""How far the work is that goes through older completions in the background."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from sqlalchemy import Connection, func, select

from briggs.storage import backfills, search_index
from briggs.storage.access import Access
from briggs.storage.tables import backfills as backfills_table
from briggs.storage.tables import completions, organizations, rollup_fills
from briggs.types.json import Object

Work = Literal["derived", "figures", "words"]

KNOWN_S = 10.0
"""How long an answer holds, so that whoever asks more often costs nothing."""
ORGANIZATIONS_MAX = 20
"""Only the words of so many organizations are looked at."""


class Backlog(Object):
    """Work that is not finished."""

    work: Work
    """`derived`: what is found in each completion, such as its certainty. `figures`: the sums of
    hours and days. `words`: the index for searches."""
    share: float
    """About how much is done, from 0 to 1."""


class Backlogs:
    """`store.backlogs`."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._known: Sequence[Backlog] = ()
        self._until = 0.0
        self._lock = asyncio.Lock()

    async def list(self) -> Sequence[Backlog]:
        """The work that is not finished, as of some seconds ago. Usually there is none."""
        async with self._lock:
            if time.monotonic() >= self._until:
                # If the database is too slow for whoever asks, it is not asked again at once.
                self._until = time.monotonic() + KNOWN_S
                self._known = await self._access.read(lambda connection: [*_list(connection)])
        return self._known


def _list(connection: Connection) -> Iterator[Backlog]:
    ids = connection.scalars(select(organizations.c.id).order_by(organizations.c.id)).all()
    place = select(backfills_table.c.after_organization_id, backfills_table.c.after_id)
    derived = connection.execute(place.where(backfills_table.c.name == backfills.NAME)).first()
    if derived is not None:
        yield Backlog(work="derived", share=_place_share(connection, *derived, ids=ids))
    fills = connection.execute(select(rollup_fills)).all()
    if fills:
        done, whole = (
            sum(each.begun_at - each.until_at for each in fills),
            sum(each.begun_at - each.oldest_at for each in fills),
        )
        yield Backlog(work="figures", share=_bound(done / max(1, whole)))
    words = [
        search_index.find_progress(connection, organization_id=id) for id in ids[:ORGANIZATIONS_MAX]
    ]
    if not all(each.is_complete for each in words):
        yield Backlog(work="words", share=_bound(min(each.share for each in words)))


def _place_share(connection: Connection, organization_id: str, id: str, *, ids: Any) -> float:
    """How far a place in the order of the keys is, by time within its organization."""
    done = sum(each < organization_id for each in ids)
    columns = completions.c
    ours = columns.organization_id == organization_id
    at = connection.scalar(select(columns.created_at).where(ours, columns.id == id))
    oldest, newest = (
        connection.scalar(select(edge(columns.created_at)).where(ours))
        for edge in (func.min, func.max)
    )
    within = 0.0
    if at is not None and oldest is not None and newest is not None:
        within = (at - oldest) / max(1, newest - oldest)
    return _bound((done + within) / max(1, len(ids)))


def _bound(share: float) -> float:
    return min(1.0, max(0.0, share))
