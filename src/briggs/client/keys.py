"""API keys from outside: create, list and revoke."""

from __future__ import annotations

from urllib.parse import quote

from msgspec import UNSET, UnsetType

from briggs.client.connection import Connection
from briggs.types.wire import Object

_PATH = "/v1/organization/admin_api_keys"


class ApiKey(Object):
    """A key as the server shows it; its secret is shown once, when it is made."""

    id: str
    name: str
    redacted_value: str
    """The secret's first and last characters."""
    created_at: int
    """Unix time in seconds."""
    last_used_at: int | None = None
    organization_id: str | UnsetType = UNSET
    value: str | UnsetType = UNSET
    """The secret; only in the answer to `create`."""
    object: str = "organization.admin_api_key"


class ApiKeyList(Object):
    """The keys of an organization."""

    data: list[ApiKey]
    object: str = "list"


class ApiKeyRevoked(Object):
    """What is left of a key that was revoked."""

    id: str
    deleted: bool


class Keys:
    """`client.keys`. https://platform.openai.com/docs/api-reference/admin-api-keys"""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def create(self, name: str) -> ApiKey:
        """A new key; `value` is its secret, which nobody can ask for again."""
        return await self._connection.request("POST", _PATH, ApiKey, body={"name": name})

    async def list(self) -> ApiKeyList:
        """Every key of the organization that was not revoked."""
        return await self._connection.request("GET", _PATH, ApiKeyList)

    async def revoke(self, id: str) -> ApiKeyRevoked:
        """Take a key back: it opens nothing from now on. Raises `NotFound`."""
        path = f"{_PATH}/{quote(id, safe='')}"
        return await self._connection.request("DELETE", path, ApiKeyRevoked)
