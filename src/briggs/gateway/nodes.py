"""Lists the nodes of this Briggs, and asks each what it has on its hands."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from importlib.metadata import version
from typing import NamedTuple

import msgspec

from briggs.gateway.calls import Gateway
from briggs.storage import Store
from briggs.types.completions import current_time_us
from briggs.types.nodes import Node
from briggs.types.peers import Peers

TOPIC = "nodes"
"""The topic on which a process asks the others what they have on their hands."""


class Load(NamedTuple):
    """What a process has on its hands."""

    node_id: str
    """Empty if the database is a file."""
    calls_in_flight: int
    spooled: int
    spool_reason: str | None


class Nodes:
    """The nodes, as this process sees them."""

    def __init__(self, gateway: Gateway, *, store: Store, peers: Peers) -> None:
        self._gateway = gateway
        self._store = store
        self._peers = peers
        self._started_at = current_time_us()
        self._version = version("briggs")
        peers.handle(TOPIC, lambda _: msgspec.msgpack.encode(self._measure()))

    async def list(self) -> Sequence[Node]:
        """The nodes that live, and those that ended within the last hour, the oldest first.

        If the database is a file, this is one node, whatever the number of its workers.
        """
        answers = await self._peers.ask(TOPIC)
        ours = self._measure()
        loads = [ours, *(msgspec.msgpack.decode(each, type=Load) for each in answers)]
        if self._store.nodes is None:
            return [self._describe_alone(loads)]
        by_id = {each.node_id: each for each in loads}
        return [
            Node(
                id=each.id,
                name=each.name,
                version=each.version,
                status="alive" if each.is_alive else "left" if each.has_left else "lost",
                is_keeper=each.is_keeper,
                is_this=each.id == ours.node_id,
                started_at=each.started_at / 1e6,
                seen_at=each.seen_at / 1e6,
                calls_in_flight=load.calls_in_flight if load else None,
                spooled=load.spooled if load else None,
                spool_reason=load.spool_reason if load else None,
            )
            for each in self._store.nodes.list()
            for load in [by_id.get(each.id)]
        ]

    def _measure(self) -> Load:
        nodes, spool = self._store.nodes, self._store.spool
        return Load(
            node_id="" if nodes is None else nodes.id,
            calls_in_flight=self._gateway.in_flight,
            spooled=0 if spool is None else spool.count,
            spool_reason=None if spool is None else spool.reason,
        )

    def _describe_alone(self, loads: Sequence[Load]) -> Node:
        return Node(
            id="node",
            name=f"{platform.node()} {os.getpid()}",
            version=self._version,
            status="alive",
            is_keeper=True,
            is_this=True,
            started_at=self._started_at / 1e6,
            seen_at=current_time_us() / 1e6,
            calls_in_flight=sum(each.calls_in_flight for each in loads),
            spooled=0,
            spool_reason=None,
        )
