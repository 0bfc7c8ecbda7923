"""Sessions from outside: create, retrieve and list."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from briggs.client.connection import Connection, encode_query
from briggs.client.logged import LoggedCompletion
from briggs.types.wire import Object

_PATH = "/api/v1/sessions"


class SessionTotals(Object):
    """The sums over a session's completions."""

    completions: int
    failed: int
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float | None
    """Of those whose price is known; None where that is none of them."""
    duration_ms: float
    estimated_tokens: int = 0
    """Of the calls whose provider could not count them. They are in no other sum."""
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
    """A session with its completions, the oldest first."""

    completions: list[LoggedCompletion]
    has_more: bool = False
    """Whether there are more than the server sends at once."""


class _Created(Object):
    session: SessionCreated


class _Listed(Object):
    data: list[Session]


class Sessions:
    """`client.sessions`: completions that belong together, such as those of one conversation."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def create(self) -> SessionCreated:
        """A new session. One is also made when a call first names an id of your own."""
        return (await self._connection.request("POST", _PATH, _Created)).session

    async def list(
        self, *, limit: int | None = None, offset: int | None = None
    ) -> Sequence[Session]:
        """The newest first, 25 unless `limit` says otherwise, at most 1,000."""
        query = encode_query(limit=limit, offset=offset)
        return (await self._connection.request("GET", _PATH, _Listed, query=query)).data

    async def retrieve(self, id: str) -> SessionDetails:
        """One session with its completions. Raises `NotFound`."""
        return await self._connection.request(
            "GET", f"{_PATH}/{quote(id, safe='')}", SessionDetails
        )
