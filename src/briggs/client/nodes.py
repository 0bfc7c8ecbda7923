"""The client's nodes: who answers, since when, and with what on its hands."""

from __future__ import annotations

from collections.abc import Sequence

from briggs.client.connection import ServerConnection
from briggs.types.json import Object
from briggs.types.nodes import Node


class _Listed(Object):
    data: list[Node]


class NodeCalls:
    """`client.nodes`: the servers that record in one database."""

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection

    async def list(self) -> Sequence[Node]:
        """The nodes that live, and those that ended within the last hour, the oldest first.

        This requires an administrator's key of the first organization.
        """
        return (await self._connection.request("GET", "/api/v1/nodes", _Listed)).data
