"""Checks every answer against the rule book, after the answer has gone out."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter

from briggs.record.evidence import Case, find_broken
from briggs.rules import is_checkable
from briggs.storage import Store
from briggs.types.errors import BriggsError

logger = logging.getLogger(__name__)

WAITING_MAX = 1_000
WAITING_BYTES_MAX = 64 * 1024 * 1024
PAUSE_S = 0.01
LARGE_BYTES = 64 * 1024
"""A larger answer, or one with a `response_format`, may take long, so a thread judges it."""


class Judge:
    """Judges cases one after the other, and records the findings in batches."""

    def __init__(self, store: Store) -> None:
        self.broken: Counter[tuple[str, str]] = Counter()
        """How many completions broke a rule, by provider and rule."""
        self._store = store
        self._waiting: list[Case] = []
        self._bytes = 0
        self._task: asyncio.Task[None] | None = None

    async def take(self, case: Case) -> None:
        """Queue the case of a recorded call. Waits only if the queue is full."""
        self._waiting.append(case)
        self._bytes += len(case.body)
        if self._task is None:
            self._begin()
        while self._task is not None and self._is_full():
            await asyncio.shield(self._task)

    async def catch_up(self, *, timeout_s: float) -> None:
        """Wait until the queued cases are judged and recorded, at most twice `timeout_s`."""
        # The first wait is for the current batch, the second for the cases queued meanwhile.
        for _ in range(2):
            if self._task is not None:
                await asyncio.wait([self._task], timeout=timeout_s)

    async def close(self) -> None:
        """Judge all queued cases."""
        while self._task is not None:
            await asyncio.wait([self._task])

    def _is_full(self) -> bool:
        return len(self._waiting) > WAITING_MAX or self._bytes > WAITING_BYTES_MAX

    def _begin(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._work())

    async def _work(self) -> None:
        """Judge one batch, and start another if more cases have come."""
        try:
            # The answers go out first.
            await asyncio.sleep(PAUSE_S)
            cases, self._waiting, self._bytes = self._waiting, [], 0
            found: dict[tuple[str, str], list[str]] = {}
            for case in cases:
                if rules := await _judge(case):
                    found[case.completion.organization_id, case.completion.id] = rules
                    provider = case.completion.provider or ""
                    self.broken.update((provider, rule) for rule in rules)
                # Calls that came meanwhile run before the next case.
                await asyncio.sleep(0)
            if found:
                await self._record(found)
        finally:
            self._task = None
            if self._waiting:
                self._begin()

    async def _record(self, found: dict[tuple[str, str], list[str]]) -> None:
        try:
            await self._store.completions.record_violates(found)
        except BriggsError as error:
            logger.error("could not record the rules that %d answers broke: %s", len(found), error)


async def _judge(case: Case) -> list[str]:
    if not is_checkable(case.body):
        return []
    try:
        values = case.evidence.prepared.envelope.values
        if len(case.body) < LARGE_BYTES and not values.get("response_format"):
            return find_broken(case)
        return await asyncio.to_thread(find_broken, case)
    except Exception:
        # A bug in one of our rules must not stop the judging of other answers.
        logger.exception("could not judge the answer of completion %s", case.completion.id)
        return []
