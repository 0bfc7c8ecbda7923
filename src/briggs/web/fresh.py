"""Figures that are some seconds old, computed in the background so that no page waits for them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from briggs.types.errors import BriggsError

Subject = TypeVar("Subject")
Figure = TypeVar("Figure")

_WAIT_S = 0.03
"""How long a page waits for a figure. What comes later is on the next page."""
_FIGURES_MAX = 1_000


class Fresh(Generic[Subject, Figure]):
    """The figures of many subjects, each computed again once it is older than `fresh_s`."""

    def __init__(
        self, compute: Callable[[Subject], Awaitable[Figure]], *, unknown: Figure, fresh_s: float
    ) -> None:
        self._compute = compute
        self._unknown = unknown
        self._fresh_s = fresh_s
        self._computed: dict[str, tuple[float, Figure]] = {}
        self._computing: dict[str, asyncio.Task[None]] = {}

    async def read(self, id: str, subject: Subject) -> Figure:
        """The figure of a subject, as far as it is known by now."""
        at, figure = self._computed.get(id, (0.0, self._unknown))
        if time.monotonic() - at > self._fresh_s and id not in self._computing:
            task = asyncio.create_task(self._refresh(id, subject))
            self._computing[id] = task
            task.add_done_callback(lambda _: self._computing.pop(id, None))
            await asyncio.wait([task], timeout=_WAIT_S)
            figure = self._computed.get(id, (0.0, figure))[1]
        return figure

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
