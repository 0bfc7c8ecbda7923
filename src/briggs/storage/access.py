"""How the modules of this package reach the database: one way to write, one to read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection

from briggs.storage.redactor import Redactor

Result = TypeVar("Result")


class Access(Protocol):
    """What the store offers to the modules for each noun."""

    @property
    def redactor(self) -> Redactor | None:
        """Applied to whatever is written of completions and feedback."""
        ...

    @property
    def foreign_changes(self) -> int:
        """Changes within a second after another process has written."""
        ...

    def act(
        self, action: Callable[[Connection], Result], *, then: Callable[[Any], None] | None = None
    ) -> Awaitable[Result]:
        """Write, in the next transaction. All actions run one after another.

        Returns once it is committed. An error in the action undoes only that action. The writer
        calls `then` with the result, after the commit. Raises `TermOver` if this is the work of a
        keeper, and another node has become it: then nothing is written.
        """
        ...

    def act_later(self, action: Callable[[Connection], object]) -> None:
        """Write, in one of the next transactions, without waiting for it."""
        ...

    def read(self, read: Callable[[Connection], Result]) -> Awaitable[Result]:
        """Read, in a thread, while others write."""
        ...
