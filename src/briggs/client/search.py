"""The client's search: build the index of words again."""

from __future__ import annotations

from briggs.client.connection import ServerConnection
from briggs.types.search import SearchProgress

_PATH = "/api/v1/search/rebuild"


class Search:
    """`client.search`: the index that the server keeps of the words of completions."""

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection

    async def rebuild(self) -> SearchProgress:
        """Read the words of all completions of the organization again, in the background."""
        return await self._connection.request("POST", _PATH, SearchProgress)

    async def retrieve_progress(self) -> SearchProgress:
        """How far the index is."""
        return await self._connection.request("GET", _PATH, SearchProgress)
