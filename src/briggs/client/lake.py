"""The client's lake: what has gone there, and bringing what is old there now."""

from __future__ import annotations

from briggs.client.connection import ServerConnection
from briggs.types.json import Object

_PATH = "/api/v1/lake"


class LakeRound(Object):
    """What archiving has done."""

    archived: int
    """Completions that are in the lake now, and were not before."""
    deleted: int
    """Completions that have left the record, because they are in the lake."""
    forgotten: int
    """Completions that have left the lake, because they were deleted or changed."""
    emptied: int
    """Completions whose messages have left the lake, as `[retention]` says."""
    is_running: bool
    """Whether it goes on. Ask again for what it has done."""


class LakeCompaction(Object):
    """What writing small files together has done."""

    files: int
    """Small files that are no longer part of the table."""
    written: int
    """Files that have their rows now."""
    bytes_before: int
    bytes_after: int
    """The sizes of these and of those."""
    is_running: bool
    """Whether it goes on. Ask again for what it has done."""


class LakeState(Object):
    """What of the organization is in the lake, and what is not yet."""

    completions: int
    files: int
    small_files: int
    """Those of them that `compact` would write together."""
    bytes: int
    archived_until: float | None
    """The time of the newest completion there, in Unix seconds."""
    waiting: int
    """Completions that are old enough and were not looked at yet, up to 10,000."""
    deletions: int
    """Deletions that have not reached it yet, up to 1,000."""
    metadata: str | None
    """The address of the table's newest metadata, which engines read. None if there is no table
    yet, and for all but administrators of `default`."""
    round: LakeRound
    """What the last archiving that was asked for has done."""
    compaction: LakeCompaction
    """What the last compaction that was asked for has done."""


class LakeCalls:
    """`client.lake`: old completions, in tables that any engine reads."""

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection

    async def retrieve(self) -> LakeState:
        """What is there, and what is not yet."""
        return await self._connection.request("GET", _PATH, LakeState)

    async def archive(self) -> LakeRound:
        """Bring what is old enough there now, and delete there what was deleted.

        Returns after some seconds, and goes on: ask `retrieve` for its `round`.
        """
        return await self._connection.request("POST", f"{_PATH}/archive", LakeRound)

    async def compact(self) -> LakeCompaction:
        """Write the small files of each day together, without a change to what they have.

        Returns after some seconds, and goes on: ask `retrieve` for its `compaction`.
        """
        return await self._connection.request("POST", f"{_PATH}/compact", LakeCompaction)
