"""The client's sessions: create, retrieve, list and delete."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from briggs.client.connection import ServerConnection, encode_query
from briggs.client.logged import LoggedCompletion
from briggs.types.json import Object

_PATH = "/api/v1/sessions"


class SessionTotals(Object):
    """Totals over a session's completions."""

    completions: int
    failed: int
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float | None
    """The cost of the completions whose price is known. None if no price is known."""
    duration_ms: float
    estimated_tokens: int = 0
    """The tokens of calls whose provider did not count them. No other total includes them."""
    estimated_cost_usd: float | None = None


class SessionCreated(Object):
    """A new session."""

    id: str


class Session(Object):
    """A session and its totals."""

    id: str
    created_at: float
    """Unix time in seconds."""
    totals: SessionTotals
    last_completion_at: float | None = None


class SessionDetails(Session, kw_only=True, dict=True):
    """A session with its completions, oldest first."""

    completions: list[LoggedCompletion]
    has_more: bool = False
    """Whether there are more completions than the server sends at once."""


class SessionDeleted(Object):
    """Confirms that a session was deleted."""

    id: str
    deleted: bool
    completions: int
    """How many completions went with it."""


class _Created(Object):
    session: SessionCreated


class _Listed(Object):
    data: list[Session]


class Sessions:
    """`client.sessions`: completions that belong together, such as one conversation."""

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection

    async def create(self) -> SessionCreated:
        """Create a session. A call that names a new session id of your own also creates one."""
        return (await self._connection.request("POST", _PATH, _Created)).session

    async def list(
        self, *, limit: int | None = None, offset: int | None = None
    ) -> Sequence[Session]:
        """The sessions, newest first. `limit` is 25 by default and at most 1,000."""
        query = encode_query(limit=limit, offset=offset)
        return (await self._connection.request("GET", _PATH, _Listed, query=query)).data

    async def retrieve(self, id: str) -> SessionDetails:
        """One session with its completions. Raises `NotFound`."""
        return await self._connection.request(
            "GET", f"{_PATH}/{quote(id, safe='')}", SessionDetails
        )

    async def delete(self, id: str) -> SessionDeleted:
        """Delete a session with all its completions for good. Raises `NotFound`."""
        return await self._connection.request(
            "DELETE", f"{_PATH}/{quote(id, safe='')}", SessionDeleted
        )
