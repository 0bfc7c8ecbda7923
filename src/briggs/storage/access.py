"""How the nouns of the record reach the database: one way to write, one way to read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from sqlalchemy import Connection

Result = TypeVar("Result")


class Access(Protocol):
    """What the store lends to its nouns."""

    def act(self, action: Callable[[Connection], Result]) -> Awaitable[Result]:
        """Write, in the next transaction; all actions happen one after the other.

        Returns when it is committed. An error of the action undoes this action only.
        """
        ...

    def read(self, read: Callable[[Connection], Result]) -> Awaitable[Result]:
        """Read, in a thread, beside whatever is being written."""
        ...
