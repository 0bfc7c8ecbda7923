"""Figures that are some seconds old, computed in the background so that no page waits for them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from math import inf
from typing import Generic, TypeVar

from briggs.types.errors import BriggsError

Subject = TypeVar("Subject")
Figure = TypeVar("Figure")

_WAIT_S = 0.03
"""How long a page waits for a figure, by default. What comes later is on the next page."""
_FIGURES_MAX = 1_000


class Fresh(Generic[Subject, Figure]):
    """The figures of many subjects, each computed again once it is older than `fresh_s`."""

    def __init__(
        self,
        compute: Callable[[Subject], Awaitable[Figure]],
        *,
        unknown: Figure,
        fresh_s: float,
        wait_s: float = _WAIT_S,
    ) -> None:
        """`wait_s` is how long the first reader of a figure waits for it."""
        self._wait_s = wait_s
        self._compute = compute
        self._unknown = unknown
        self._fresh_s = fresh_s
        self._computed: dict[str, tuple[float, Figure]] = {}
        self._computing: dict[str, asyncio.Task[None]] = {}

    async def read(self, id: str, subject: Subject) -> Figure:
        """The figure of a subject, as far as it is known by now."""
        at, figure = self._computed.get(id, (-inf, self._unknown))
        if time.monotonic() - at > self._fresh_s and id not in self._computing:
            wait_s = _WAIT_S if id in self._computed else self._wait_s
            await asyncio.wait([self.refresh(id, subject)], timeout=wait_s)
            figure = self._computed.get(id, (0.0, figure))[1]
        return figure

    def refresh(self, id: str, subject: Subject) -> asyncio.Task[None]:
        """Compute the figure of a subject anew, unless that is under way. Nobody has to wait."""
        task = self._computing.get(id)
        if task is None:
            task = asyncio.create_task(self._refresh(id, subject))
            self._computing[id] = task
            task.add_done_callback(lambda _: self._computing.pop(id, None))
        return task

    async def close(self) -> None:
        """Compute nothing more. What is under way is given up."""
        computing = list(self._computing.values())
        for task in computing:
            task.cancel()
        await asyncio.gather(*computing, return_exceptions=True)

    async def _refresh(self, id: str, subject: Subject) -> None:
        try:
            figure = await self._compute(subject)
        except BriggsError:
            # The page says by itself if the store cannot be read.
            return
        self._computed.pop(id, None)
        self._computed[id] = time.monotonic(), figure
        if len(self._computed) > _FIGURES_MAX:
            self._computed.pop(next(iter(self._computed)))
