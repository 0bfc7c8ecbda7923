"""Learns in the background what each hour of the record has, so that lists need not."""

from __future__ import annotations

import asyncio
import time

from briggs.storage import Store
from briggs.types.background import logging_errors

EVERY_S = 300.0
"""How often it is looked for hours that are not known: after a start, and when others wrote."""

SHARE = 0.5
"""How much of the time is used for it while nothing is recorded."""

BUSY_SHARE = 0.1
PAUSE_S = 0.01


class HourLearning:
    """What learns the hours of all organizations. One for a process, since each remembers them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to learn."""
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stop. What was learnt is lost with the process."""
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
        """Learn all hours that are not known, the newest of each organization first."""
        for organization in await self._store.organizations.list():
            while not await self._learn_some(organization.id):
                pass

    async def _learn_some(self, organization_id: str) -> bool:
        """Learn for a moment, and rest. Returns whether nothing is left."""
        recorded, begin = self._store.statistics().rows, time.monotonic()
        is_done = await self._store.completions.learn_hours(organization_id=organization_id)
        spent_s = time.monotonic() - begin
        share = SHARE if self._store.statistics().rows == recorded else BUSY_SHARE
        await asyncio.sleep(max(PAUSE_S, spent_s * (1 / share - 1)) if not is_done else 0)
        return is_done
