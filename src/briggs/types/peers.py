"""What the processes of one Briggs tell each other: workers of one machine, or nodes of many."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

Handler = Callable[[bytes], bytes]
"""Takes a message, and returns the answer for a peer that asked. It must not wait."""


class Peers(Protocol):
    """The other processes that answer for the same Briggs, as one of them sees them."""

    @property
    def is_keeper(self) -> bool:
        """Whether this process does what only one of them may do, such as evaluating alerts.

        It changes when the keeper dies. See `Keeping` for how to do it.
        """
        ...

    @property
    def term(self) -> int:
        """The number of the term in which this process is the keeper. 0 if it is not.

        Another number comes whenever another process may have been the keeper in between.
        """
        ...

    def describe(self) -> Mapping[str, Mapping[str, int | str]]:
        """What `/health` tells of all of them, by kind. Nothing if there is just one."""
        ...

    def handle(self, topic: str, handler: Handler) -> None:
        """Call `handler` in the event loop with each message that another process sends."""
        ...

    def tell(self, topic: str, message: bytes = b"") -> None:
        """Send a message to all others. They get it within milliseconds, in the order sent.

        Nobody learns if one of them dies before. So it is for what is soon known anyway.
        """
        ...

    async def ask(self, topic: str, question: bytes = b"") -> Sequence[bytes]:
        """Send a question to all others, and return their answers, in no order.

        Returns without the answers of those who die or take longer than a few seconds.
        """
        ...


class Alone:
    """The peers of a process that has none."""

    is_keeper = True
    term = 1

    def describe(self) -> Mapping[str, Mapping[str, int | str]]:
        """Nothing."""
        return {}

    def handle(self, topic: str, handler: Handler) -> None:
        """Nobody sends anything."""

    def tell(self, topic: str, message: bytes = b"") -> None:
        """Nobody listens."""

    async def ask(self, topic: str, question: bytes = b"") -> Sequence[bytes]:
        """Nobody answers."""
        return ()


class Near:
    """The peers of a worker whose database has other nodes, each of its machine's workers too.

    All of them are reached as nodes. Only a few topics are for those of its machine.
    """

    def __init__(self, workers: Peers, *, far: Peers, near: Collection[str]) -> None:
        self._workers = workers
        self._nodes = far
        self._near = near

    @property
    def is_keeper(self) -> bool:
        return self._nodes.is_keeper

    @property
    def term(self) -> int:
        return self._nodes.term

    def describe(self) -> Mapping[str, Mapping[str, int | str]]:
        """Those of both."""
        return {**self._workers.describe(), **self._nodes.describe()}

    def handle(self, topic: str, handler: Handler) -> None:
        self._choose(topic).handle(topic, handler)

    def tell(self, topic: str, message: bytes = b"") -> None:
        self._choose(topic).tell(topic, message)

    async def ask(self, topic: str, question: bytes = b"") -> Sequence[bytes]:
        return await self._choose(topic).ask(topic, question)

    def _choose(self, topic: str) -> Peers:
        return self._workers if topic in self._near else self._nodes
