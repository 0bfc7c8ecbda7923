"""Learns in the background what each hour of the record has, so that lists need not.

One process also keeps it in the database. After a start, it is only read from there.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

from briggs.storage import Store
from briggs.types.background import logging_errors
from briggs.types.keeping import Keeping
from briggs.types.peers import Peers

Result = TypeVar("Result")

EVERY_S = 300.0
"""How often it is looked for hours that are not known: after a start, and when others wrote."""

SHARE = 0.5
"""How much of the time is used for it while nothing is recorded."""

BUSY_SHARE = 0.1
PAUSE_S = 0.01


class HourLearning:
    """What learns the hours of all organizations. One for a process, since each remembers them."""

    def __init__(self, store: Store, *, peers: Peers | None = None) -> None:
        self._store = store
        self._keeping = Keeping(peers)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to learn."""
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stop."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            with logging_errors(
                waiting="the hours of the record cannot be learnt",
                failed="The hours of the record could not be learnt",
            ):
                await self.learn()
            await asyncio.sleep(EVERY_S)

    async def learn(self) -> None:
        """Keep all hours that are not kept, and learn those that are not known, the newest of each
        organization first.
        """
        for organization in await self._store.organizations.list():
            await self._keeping.do(partial(self._keep, organization.id))
            learn = partial(self._store.completions.learn_hours, organization_id=organization.id)
            while not await self._do_some(learn):
                pass

    async def _keep(self, organization_id: str) -> None:
        keep = partial(self._store.hours.keep_some, organization_id=organization_id)
        before = await self._do_some(keep)
        while before is not None:
            before = await self._do_some(partial(keep, before=before))

    async def _do_some(self, work: Callable[[], Awaitable[Result]]) -> Result:
        """Work for a moment, and rest."""
        recorded, begin = self._store.statistics().rows, time.monotonic()
        result = await work()
        spent_s = time.monotonic() - begin
        share = SHARE if self._store.statistics().rows == recorded else BUSY_SHARE
        await asyncio.sleep(max(PAUSE_S, spent_s * (1 / share - 1)))
        return result
