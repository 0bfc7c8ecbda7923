"""The client's API keys: create, list, limit and revoke."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import quote

import msgspec
from msgspec import UNSET, UnsetType

from briggs.client.connection import ServerConnection, encode_query, omit_none
from briggs.types.json import Object
from briggs.types.keys import Scope

_PATH = "/v1/organization/admin_api_keys"


class KeyLimits(Object):
    """What a key may use. A member that is missing is no limit."""

    requests_per_minute: int | UnsetType = UNSET
    tokens_per_minute: int | UnsetType = UNSET
    calls_in_flight: int | UnsetType = UNSET
    dollars_per_day: float | UnsetType = UNSET
    dollars_per_month: float | UnsetType = UNSET


class KeyUse(Object):
    """What a key has used."""

    limits: KeyLimits = msgspec.field(default_factory=KeyLimits)
    """The limits that apply: its own, and those of the server's file."""
    requests: int = 0
    """In the last minute, if they are limited. So are the next two."""
    tokens: int = 0
    calls_in_flight: int = 0
    dollars_today: float = 0.0
    dollars_this_month: float = 0.0


class ApiKey(Object):
    """An API key. The server shows its secret once, when the key is created."""

    id: str
    name: str
    redacted_value: str
    """The secret's first and last characters."""
    created_at: int
    """Unix time in seconds."""
    last_used_at: int | None = None
    organization_id: str | UnsetType = UNSET
    scopes: list[str] = msgspec.field(default_factory=list)
    """What the key may do: any of `answer`, `read`, `grade` and `admin`."""
    expires_at: int | None = None
    """Unix time in seconds. None if the key does not expire."""
    limits: KeyLimits = msgspec.field(default_factory=KeyLimits)
    """Its own limits."""
    use: KeyUse | UnsetType = UNSET
    """Present only in a list."""
    value: str | UnsetType = UNSET
    """The secret. Present only in the answer to `create`."""
    object: str = "organization.admin_api_key"


class ApiKeyList(Object):
    """The keys of an organization."""

    data: list[ApiKey]
    object: str = "list"


class ApiKeyRevoked(Object):
    """Confirms that a key was revoked."""

    id: str
    deleted: bool


class _Link(Object):
    path: str


class Keys:
    """`client.keys`. https://platform.openai.com/docs/api-reference/admin-api-keys"""

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection

    async def create(
        self,
        name: str,
        *,
        scopes: Sequence[Scope] | None = None,
        expires_in_s: float | None = None,
        limits: Mapping[str, float | None] | None = None,
        organization: str | None = None,
    ) -> ApiKey:
        """Create a key. `value` is its secret, which cannot be shown again.

        `scopes` lists what the key may do. The default is everything except `admin`. `limits` has
        any of `requests_per_minute`, `tokens_per_minute`, `calls_in_flight`, `dollars_per_day`
        and `dollars_per_month`.
        `organization`, an id or a slug, selects another organization, here and in the calls
        below. Only administrators of the first organization may use it.
        """
        body = omit_none(
            name=name,
            scopes=scopes,
            expires_in_s=expires_in_s,
            limits=limits,
            organization=organization,
        )
        return await self._connection.request("POST", _PATH, ApiKey, body=body)

    async def list(self, *, organization: str | None = None) -> ApiKeyList:
        """The organization's keys, without those that were revoked."""
        query = encode_query(organization=organization)
        return await self._connection.request("GET", _PATH, ApiKeyList, query=query)

    async def limit(
        self, id: str, limits: Mapping[str, float | None], *, organization: str | None = None
    ) -> ApiKey:
        """Change the limits of a key that are named, as in `create`. None removes one.

        Raises `NotFound`.
        """
        body = {"limits": limits} | omit_none(organization=organization)
        return await self._connection.request(
            "POST", f"{_PATH}/{quote(id, safe='')}", ApiKey, body=body
        )

    async def create_sign_in_link(self) -> str:
        """A link that opens the pages in a browser as this key, once, within 15 minutes."""
        made = await self._connection.request("POST", "/api/v1/sign_in_links", _Link)
        return f"{self._connection.base_url}{made.path}"

    async def revoke(self, id: str, *, organization: str | None = None) -> ApiKeyRevoked:
        """Revoke a key: the server accepts it no longer. Raises `NotFound`."""
        path, query = f"{_PATH}/{quote(id, safe='')}", encode_query(organization=organization)
        return await self._connection.request("DELETE", path, ApiKeyRevoked, query=query)
