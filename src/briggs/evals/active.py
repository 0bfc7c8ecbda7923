"""A run that is worked on: how far it is, and what is left of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

from briggs.evals.requests import EvalItem
from briggs.evals.verdicts import Verdicts
from briggs.types.errors import BriggsError
from briggs.types.evals import AnswerPlace, EvalAnswer, EvalRun, RunProgress


class ActiveRun:
    """A run that is worked on."""

    def __init__(self, run: EvalRun, progress: RunProgress, verdicts: Verdicts) -> None:
        self.run = run
        self.verdicts = verdicts
        self.progress = progress
        self.task: asyncio.Task[None] | None = None
        self.is_cancelled = False
        self.changed = asyncio.Event()
        """Set and replaced whenever the progress has changed."""
        self.end: BriggsError | None = None
        """Why nothing more is asked, although there is more."""
        self.worked_at = time.monotonic()
        """When a worker outside of the server was last seen."""
        self.waited_since: dict[AnswerPlace, float] = {}
        """Since when the ends of calls wait for the processes that asked."""

    def add(self, answer: EvalAnswer) -> None:
        """Count an answer."""
        progress = self.progress
        if answer.status == "failed":
            progress.failed += 1
        else:
            progress.answered += 1
            progress.cached += answer.is_cached
            if not answer.is_cached:
                progress.unpriced += answer.cost_usd is None
                progress.cost_usd += answer.cost_usd or 0.0
        self.tell()

    def tell(self) -> None:
        """Wake who watches."""
        self.changed.set()
        self.changed = asyncio.Event()


class EvalItems:
    """Gives the items of a generator to several workers."""

    def __init__(self, items: AsyncIterator[EvalItem]) -> None:
        self._items = items
        self._lock = asyncio.Lock()

    async def take(self) -> EvalItem | None:
        """The next item. None if there is none left."""
        async with self._lock:
            return await anext(self._items, None)
