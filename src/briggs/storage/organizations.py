"""Stores organizations."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, or_, select

from briggs.storage import erasure, feedback_matches, lake_deletions, rollups, rows, search_index
from briggs.storage.access import Access
from briggs.storage.tables import completions, metadata, organizations
from briggs.types.errors import InvalidRequest
from briggs.types.lake import LakeQuery
from briggs.types.organizations import Organization


class Organizations:
    """`store.organizations`."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def create(self, organization: Organization) -> None:
        """Store an organization. Raises `InvalidRequest` if its slug is taken."""
        await self._access.act(lambda connection: _create(connection, organization))

    async def delete(self, id: str) -> bool:
        """Delete an organization with all that belongs to it. Its completions go before that.

        Returns False, and deletes nothing, if there are completions.
        """
        return await self._access.act(lambda connection: _delete(connection, id=id))

    async def list(self) -> Sequence[Organization]:
        """All organizations, oldest first."""
        statement = select(organizations).order_by(organizations.c.created_at, organizations.c.id)
        return await self._access.read(
            lambda connection: [
                rows.decode(row, Organization) for row in connection.execute(statement)
            ]
        )

    async def find(self, name: str) -> Organization | None:
        """Find an organization by its id or its slug."""
        return await self._access.read(lambda connection: _find(connection, name))


def _create(connection: Connection, organization: Organization) -> None:
    if _find(connection, organization.slug) or _find(connection, organization.id):
        raise InvalidRequest(
            f"There is already an organization '{organization.slug}'.", param="slug"
        )
    connection.execute(
        organizations.insert().values(rows.encode(organization, table=organizations))
    )


def _delete(connection: Connection, *, id: str) -> bool:
    ours = completions.c.organization_id == id
    if connection.execute(select(completions.c.id).where(ours).limit(1)).first() is not None:
        return False
    for table in metadata.sorted_tables:
        if "organization_id" in table.c:
            connection.execute(table.delete().where(table.c.organization_id == id))
    connection.execute(organizations.delete().where(organizations.c.id == id))
    lake_deletions.demand_all(connection, LakeQuery(organization_id=id))
    feedback_matches.forget_selectors(connection)
    rollups.forget_fills(connection)
    search_index.forget(connection)
    erasure.demand(connection)
    return True


def _find(connection: Connection, name: str) -> Organization | None:
    either = or_(organizations.c.id == name, organizations.c.slug == name)
    row = connection.execute(select(organizations).where(either)).first()
    return None if row is None else rows.decode(row, Organization)
