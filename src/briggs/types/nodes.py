"""Nodes: the servers that answer and record together, as one of them sees them."""

from __future__ import annotations

from typing import Literal

from briggs.types.json import Object

NodeStatus = Literal["alive", "lost", "left"]
"""`lost`: the others have not heard of it for `node_timeout_s`. `left`: it was stopped."""


class Node(Object):
    """A server, or a worker of one. Those that ended are listed for an hour."""

    id: str
    name: str
    """The name of its machine, and the number of its process."""
    version: str
    """Of its Briggs."""
    status: NodeStatus
    is_keeper: bool
    """Whether it does the work in the background."""
    is_this: bool
    """Whether it gave this answer."""
    started_at: float
    """Unix time in seconds, by the clock of the database."""
    seen_at: float
    """When it last said that it lives. It does so about once a second."""
    calls_in_flight: int | None
    """The calls that it is answering. None if it did not tell within three seconds."""
    spooled: int | None
    """The records that wait in its spool for the database."""
    spool_reason: str | None
    """Why they wait, if the database takes nothing from it."""
