"""Skips targets that failed, until they have had time to recover."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from briggs.settings import CoolDownSettings

T = TypeVar("T")

RETRY_AFTER_MAX_S = 3600
"""We try again after an hour, even if an upstream asks us to wait longer."""


Tell = Callable[[object, bool, float | None], None]
"""Told of a target, whether it failed, and how many seconds it asked us to wait."""


class Skipped(NamedTuple):
    """A target that is skipped for a while."""

    target: object
    for_s: float
    failures: int
    """How often it failed in a row."""


class Cooling:
    """Counts how often each target failed in a row, and until when it is skipped."""

    def __init__(
        self, settings: CoolDownSettings, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._failures: Counter[object] = Counter()
        self._warm_at: dict[object, float] = {}
        self.tell: Tell | None = None
        """Told of what happens here, so that other processes can `note` it."""

    def fail(self, target: object, *, retry_after_s: float | None = None) -> None:
        """Note that a target failed, and how long it asked us to wait."""
        self.note(target, failed=True, retry_after_s=retry_after_s)
        if self.tell is not None:
            self.tell(target, True, retry_after_s)

    def succeed(self, target: object) -> None:
        """Note that a target answered."""
        if target in self._failures:
            self.note(target, failed=False)
            if self.tell is not None:
                self.tell(target, False, None)

    def note(self, target: object, *, failed: bool, retry_after_s: float | None = None) -> None:
        """Note what a target did, here or in another process."""
        if not failed:
            self._failures.pop(target, None)
            self._warm_at.pop(target, None)
            return
        self._failures[target] += 1
        if retry_after_s is not None:
            self._warm_at[target] = self._clock() + min(retry_after_s, RETRY_AFTER_MAX_S)
        elif self._failures[target] >= self._settings.failures:
            self._warm_at[target] = self._clock() + self._settings.duration_s

    def list_skipped(self) -> list[Skipped]:
        """The targets that are skipped now."""
        now = self._clock()
        return [
            Skipped(target, warm_at - now, self._failures[target])
            for target, warm_at in self._warm_at.items()
            if warm_at > now
        ]

    def skip(self, targets: Sequence[T]) -> Sequence[T]:
        """The targets that are not cooling. If all are, the one whose wait ends first."""
        if not self._warm_at:
            return targets
        now = self._clock()
        warm = [target for target in targets if self._warm_at.get(target, now) <= now]
        return warm or [min(targets, key=self._warm_at.__getitem__)]
