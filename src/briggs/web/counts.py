"""The counts beside the navigation: some seconds old, so that no page waits for them."""

from __future__ import annotations

from typing import NamedTuple

from msgspec import UNSET

from briggs.storage import Store
from briggs.types.completions import current_time_us
from briggs.types.fresh import Fresh
from briggs.types.keys import Key
from briggs.types.rollups import SPAN_US

FRESH_S = 10.0
"""How long counts are shown before they are counted again."""

_TASKS_MAX = 20


class Counts(NamedTuple):
    """What one key may know. None is unknown."""

    calls: int | None = None
    """In the last 24 hours."""
    waiting: int | None = None
    """Completions that await a grade from this key, over all tasks."""


class Counter:
    """Counts for each key that looks at pages."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._counts: Fresh[Key, Counts] = Fresh(self._count, unknown=Counts(), fresh_s=FRESH_S)

    async def read(self, key: Key) -> Counts:
        """The counts of a key, as far as they are known by now."""
        return await self._counts.read(key.id, key)

    async def _count(self, key: Key) -> Counts:
        return Counts(
            calls=await self._count_calls(key) if "read" in key.scopes else None,
            waiting=await self._count_waiting(key) if "grade" in key.scopes else None,
        )

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
