"""How the modules of this package reach the database: one way to write, one to read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from sqlalchemy import Connection

Result = TypeVar("Result")


class Access(Protocol):
    """What the store offers to the modules for each noun."""

    def act(self, action: Callable[[Connection], Result]) -> Awaitable[Result]:
        """Write, in the next transaction. All actions run one after another.

        Returns once it is committed. An error in the action undoes only that action.
        """
        ...

    def read(self, read: Callable[[Connection], Result]) -> Awaitable[Result]:
        """Read, in a thread, while others write."""
        ...
