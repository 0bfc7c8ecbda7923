"""The client's organizations: create, retrieve, list and delete."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from msgspec import UNSET, UnsetType

from briggs.client.connection import ServerConnection, omit_none
from briggs.client.keys import ApiKey
from briggs.types.json import Object

_PATH = "/api/v1/organizations"


class Organization(Object):
    """A team. Other organizations cannot see its data."""

    id: str
    slug: str
    name: str
    created_at: float
    """Unix time in seconds."""
    key: ApiKey | UnsetType = UNSET
    """The first administrator's key. Present only in the answer to `create`."""


class OrganizationDeleted(Object):
    """Confirms that an organization was deleted."""

    id: str
    deleted: bool


class _Listed(Object):
    data: list[Organization]


class Organizations:
    """`client.organizations`."""

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection

    async def create(self, slug: str, *, name: str | None = None) -> Organization:
        """Create an organization, with a key for its first administrator.

        This requires an administrator's key of the first organization.
        """
        body = omit_none(slug=slug, name=name)
        return await self._connection.request("POST", _PATH, Organization, body=body)

    async def list(self) -> Sequence[Organization]:
        """The key's own organization. Administrators of the first organization get all."""
        return (await self._connection.request("GET", _PATH, _Listed)).data

    async def retrieve(self, name: str) -> Organization:
        """One organization, by its id or slug. Raises `NotFound`."""
        return await self._connection.request(
            "GET", f"{_PATH}/{quote(name, safe='')}", Organization
        )

    async def delete(self, name: str) -> OrganizationDeleted:
        """Delete an organization, by its id or slug, with everything in it. Raises `NotFound`.

        This requires an administrator's key of the first organization.
        """
        return await self._connection.request(
            "DELETE", f"{_PATH}/{quote(name, safe='')}", OrganizationDeleted
        )
