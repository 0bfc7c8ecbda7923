"""The client's rollups: build the sums of the home page again."""

from __future__ import annotations

from briggs.client.connection import ServerConnection
from briggs.types.rollups import RollupProgress

_PATH = "/api/v1/rollups/rebuild"


class Rollups:
    """`client.rollups`: the sums that the server keeps for its home page."""

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection

    async def rebuild(self) -> RollupProgress:
        """Count all completions of the organization again, in the background."""
        return await self._connection.request("POST", _PATH, RollupProgress)

    async def retrieve_progress(self) -> RollupProgress:
        """How far the counting is."""
        return await self._connection.request("GET", _PATH, RollupProgress)
