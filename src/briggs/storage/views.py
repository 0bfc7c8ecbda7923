"""Stores the saved views of lists."""

from __future__ import annotations

import builtins
from collections.abc import Sequence

from sqlalchemy import Connection, func, select

from briggs.storage import rows
from briggs.storage.access import Access
from briggs.storage.tables import views
from briggs.types.errors import Conflict
from briggs.types.views import View


class Views:
    """`store.views`."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def list(self, *, organization_id: str) -> Sequence[View]:
        """The views of an organization, by name."""
        return await self._access.read(
            lambda connection: _list(connection, organization_id=organization_id)
        )

    async def create(self, view: View, *, count_max: int) -> None:
        """Store a view. One of the same name is replaced.

        Raises `Conflict` if the organization has `count_max` already.
        """
        await self._access.act(lambda connection: _create(connection, view, count_max=count_max))

    async def delete(self, id: str, *, organization_id: str) -> bool:
        """Delete a view. Returns False if there is none."""
        row = views.delete().where(views.c.id == id, views.c.organization_id == organization_id)
        return await self._access.act(lambda connection: connection.execute(row).rowcount > 0)


def _list(connection: Connection, *, organization_id: str) -> builtins.list[View]:
    ours = views.c.organization_id == organization_id
    found = connection.execute(select(views).where(ours).order_by(func.lower(views.c.name)))
    return [rows.decode(row, View) for row in found]


def _create(connection: Connection, view: View, *, count_max: int) -> None:
    ours = views.c.organization_id == view.organization_id
    connection.execute(views.delete().where(ours, views.c.name == view.name))
    count = connection.scalar(select(func.count()).select_from(views).where(ours)) or 0
    if count >= count_max:
        raise Conflict(f"There are {count_max} views already: delete one first.")
    connection.execute(views.insert().values(rows.encode(view, table=views)))
