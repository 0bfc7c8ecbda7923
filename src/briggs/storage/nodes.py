"""The nodes of a database: the processes that answer, and that record in it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from sqlalchemy import Connection

from briggs.storage import records
from briggs.storage.database import NodeState, OwnNode, database_of
from briggs.types.peers import Handler

LOOKED_EVERY_S = 2.0


class Nodes:
    """`store.nodes`: the other nodes as one of them sees them, which are its `Peers`.

    What one of them has changed, the others learn from the database, within about a second.
    """

    def __init__(self, member: OwnNode) -> None:
        self._member = member

    @property
    def is_keeper(self) -> bool:
        """Whether this node does what only one of them does."""
        return self._member.is_keeper

    def list(self) -> Sequence[NodeState]:
        """The nodes that live, and those that ended within the last hour, the oldest first."""
        return self._member.nodes

    def describe(self) -> Mapping[str, Mapping[str, int | str]]:
        """What `/health` tells of all of them."""
        nodes = self.list()
        lost = [each for each in nodes if not each.is_alive and not each.has_left]
        return {
            "nodes": {
                "id": self._member.id,
                "alive": sum(each.is_alive for each in nodes),
                "lost": len(lost),
                "keeper": next((each.id for each in nodes if each.is_keeper), ""),
            }
        }

    def handle(self, topic: str, handler: Handler) -> None:
        """Nodes send each other nothing."""

    def tell(self, topic: str, message: bytes = b"") -> None:
        """Nothing is sent."""

    async def ask(self, topic: str, question: bytes = b"") -> Sequence[bytes]:
        """Nobody is asked."""
        return ()


class LeftCalls:
    """Fails the calls that nodes have left when they died. Belongs to the writer's thread."""

    waits = False
    """It is not worth a moment of its own."""

    def __init__(self, connection: Connection, *, clock: Callable[[], float] = time.monotonic):
        self._connection = connection
        self._clock = clock
        self._look_at = 0.0

    def go_on(self, *, idle: bool) -> bool:
        """Look every few seconds. Returns whether there were any."""
        now = self._clock()
        if now < self._look_at:
            return False
        self._look_at = now + LOOKED_EVERY_S
        if not records.has_left(self._connection):
            return False
        with database_of(self._connection).transaction(self._connection):
            return records.fail_left(self._connection) > 0
