"""The counts beside the navigation: some seconds old, so that no page waits for them."""

from __future__ import annotations

import asyncio
import time
from typing import NamedTuple

from msgspec import UNSET

from briggs.storage import Store
from briggs.types.completions import current_time_us
from briggs.types.errors import BriggsError
from briggs.types.keys import Key
from briggs.types.rollups import SPAN_US

FRESH_S = 10.0
"""How long counts are shown before they are counted again."""

_WAIT_S = 0.03
"""How long a page waits for its counts. What comes later is on the next page."""
_KEYS_MAX = 1_000
_TASKS_MAX = 20


class Counts(NamedTuple):
    """What one key may know. None is unknown."""

    calls: int | None = None
    """In the last 24 hours."""
    waiting: int | None = None
    """Completions that await a grade from this key, over all tasks."""


class Counter:
    """Counts in the background, for each key that looks at pages."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._counted: dict[str, tuple[float, Counts]] = {}
        self._counting: dict[str, asyncio.Task[None]] = {}

    async def read(self, key: Key) -> Counts:
        """The counts of a key, as far as they are known by now."""
        at, counts = self._counted.get(key.id, (0.0, Counts()))
        if time.monotonic() - at > FRESH_S and key.id not in self._counting:
            task = asyncio.create_task(self._count(key))
            self._counting[key.id] = task
            task.add_done_callback(lambda _: self._counting.pop(key.id, None))
            await asyncio.wait([task], timeout=_WAIT_S)
            counts = self._counted.get(key.id, (0.0, counts))[1]
        return counts

    async def _count(self, key: Key) -> None:
        try:
            counts = Counts(
                calls=await self._count_calls(key) if "read" in key.scopes else None,
                waiting=await self._count_waiting(key) if "grade" in key.scopes else None,
            )
        except BriggsError:
            # The page says by itself if the store cannot be read.
            return
        self._counted.pop(key.id, None)
        self._counted[key.id] = time.monotonic(), counts
        if len(self._counted) > _KEYS_MAX:
            self._counted.pop(next(iter(self._counted)))

    async def _count_calls(self, key: Key) -> int:
        now = current_time_us()
        rollups = await self._store.rollups.list_all(
            organization_id=key.organization_id,
            span="hour",
            created_from=now - 24 * SPAN_US["hour"],
            created_to=now + 1,
        )
        return sum(rollup.tally.calls for rollup in rollups)

    async def _count_waiting(self, key: Key) -> int:
        tasks = await self._store.feedback_tasks.list(
            organization_id=key.organization_id, limit=_TASKS_MAX
        )
        measured = [
            await self._store.feedback_queue.measure(task, reviewer=key.name) for task in tasks
        ]
        return sum(
            progress.left_for_reviewer
            for progress in measured
            if progress.left_for_reviewer is not UNSET
        )
