"""The rule book held against every answer: when it has gone out, a few answers at a time."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter

from briggs.gateway.evidence import Case, find_broken
from briggs.storage import Store
from briggs.types.errors import BriggsError
from briggs.types.rules import is_checkable

logger = logging.getLogger(__name__)

WAITING_MAX = 1_000
WAITING_BYTES_MAX = 64 * 1024 * 1024
PAUSE_S = 0.01
LARGE_BYTES = 64 * 1024
"""A larger answer, and one that a schema was asked of, may take long: a thread judges it."""


class Judge:
    """Judges one case after the other, and records what is found a few at a time."""

    def __init__(self, store: Store) -> None:
        self.broken: Counter[tuple[str, str]] = Counter()
        """How many completions broke a rule, by provider and rule."""
        self._store = store
        self._waiting: list[Case] = []
        self._bytes = 0
        self._task: asyncio.Task[None] | None = None

    async def take(self, case: Case) -> None:
        """Take the case of a call that is recorded; waits only where too many wait already."""
        self._waiting.append(case)
        self._bytes += len(case.body)
        if self._task is None:
            self._begin()
        while self._task is not None and self._is_full():
            await asyncio.shield(self._task)

    async def catch_up(self, *, timeout_s: float) -> None:
        """Wait until all that waits now is judged and recorded, or for about so long."""
        # There is what is being judged, and what has come meanwhile.
        for _ in range(2):
            if self._task is not None:
                await asyncio.wait([self._task], timeout=timeout_s)

    async def close(self) -> None:
        """Judge all that waits."""
        while self._task is not None:
            await asyncio.wait([self._task])

    def _is_full(self) -> bool:
        return len(self._waiting) > WAITING_MAX or self._bytes > WAITING_BYTES_MAX

    def _begin(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._work())

    async def _work(self) -> None:
        """Judge what waits by then, and go on if more has come."""
        try:
            # The answers go out first.
            await asyncio.sleep(PAUSE_S)
            cases, self._waiting, self._bytes = self._waiting, [], 0
            found: dict[str, list[str]] = {}
            for case in cases:
                if rules := await _judge(case):
                    found[case.completion.id] = rules
                    provider = case.completion.provider or ""
                    self.broken.update((provider, rule) for rule in rules)
                # The calls that came meanwhile go before the next one.
                await asyncio.sleep(0)
            if found:
                await self._record(found)
        finally:
            self._task = None
            if self._waiting:
                self._begin()

    async def _record(self, found: dict[str, list[str]]) -> None:
        try:
            await self._store.record_violates(found)
        except BriggsError as error:
            logger.error("what %d answers break was not recorded: %s", len(found), error)


async def _judge(case: Case) -> list[str]:
    if not is_checkable(case.body):
        return []
    try:
        values = case.evidence.prepared.envelope.values
        if len(case.body) < LARGE_BYTES and not values.get("response_format"):
            return find_broken(case)
        return await asyncio.to_thread(find_broken, case)
    except Exception:
        # A defect of ours in one rule must not end the judging of all others.
        logger.exception("the answer of completion %s could not be judged", case.completion.id)
        return []
