"""The client's retention: what the server deletes by age, and doing it now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from briggs.client.connection import ServerConnection
from briggs.types.json import Object

_PATH = "/api/v1/retention"


class RetentionTerm(Object):
    """A line of `[retention]`, and how many completions it is about."""

    what: Literal["bodies", "metadata"]
    """`bodies`: the messages. `metadata`: the completion itself, with everything."""
    span: str
    """Such as `30d`."""
    completions: int
    organization: str | None = None
    tag: str | None = None


class _Listed(Object):
    data: list[RetentionTerm]


class Retention:
    """`client.retention`: deletes what has been kept for long enough."""

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection

    async def retrieve(self) -> Sequence[RetentionTerm]:
        """The terms, and how many completions each of them would delete now."""
        return (await self._connection.request("GET", _PATH, _Listed)).data

    async def run(self) -> Sequence[RetentionTerm]:
        """Delete what is old enough, and say how much that was."""
        return (await self._connection.request("POST", f"{_PATH}/run", _Listed)).data
