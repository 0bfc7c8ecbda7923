"""What holders of limits use: sums over the last minute, and over days and months."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import msgspec

from briggs.types.limits import Holder, find_month

SPAN_S = 60
SLOTS_A_SECOND = 10
_SLOTS = SPAN_S * SLOTS_A_SECOND

Entry = list[int]
"""A slot, and the sum of what was added during it."""


class Minute:
    """What was added in the last 60 seconds, by tenths of a second.

    A tenth leaves when all of it is more than 60 seconds old. So the sum of no 60 seconds is above
    what the window showed, and room is seen at most a tenth of a second late.
    """

    __slots__ = ("_entries", "_sum")

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque()
        self._sum = 0

    def look(self, now: float) -> int:
        """The sum. Times are in seconds, of a clock that never goes back."""
        entries, oldest = self._entries, int(now * SLOTS_A_SECOND) - _SLOTS
        while entries and entries[0][0] < oldest:
            self._sum -= entries.popleft()[1]
        return self._sum

    def add(self, amount: int, now: float) -> Entry:
        """Add to the sum. Returns what `change` needs."""
        slot = int(now * SLOTS_A_SECOND)
        entries = self._entries
        if entries and entries[-1][0] == slot:
            entries[-1][1] += amount
        else:
            entries.append([slot, amount])
        self._sum += amount
        return entries[-1]

    def change(self, entry: Entry, amount: int, now: float) -> None:
        """Change what was added. What was too little, and has left since, is added now."""
        self.look(now)
        if self._entries and entry[0] >= self._entries[0][0]:
            entry[1] += amount
            self._sum += amount
        elif amount > 0:
            self.add(amount, now)

    def wait_s(self, most: int, now: float) -> float:
        """In how many seconds the sum is `most` or less, if nothing is added."""
        left, end_s = self.look(now), now
        for slot, amount in self._entries:
            if left <= most:
                break
            left -= amount
            end_s = (slot + _SLOTS + 1) / SLOTS_A_SECOND
        return max(0.0, end_s - now)

    def reset_s(self, now: float) -> float:
        """In how many seconds the sum is 0, if nothing is added."""
        if not self._entries:
            return 0.0
        return max(0.0, (self._entries[-1][0] + _SLOTS + 1) / SLOTS_A_SECOND - now)


class Account(msgspec.Struct, kw_only=True):
    """What one holder of limits uses and has used. Dollars are in units of 1e-9."""

    holder: Holder
    organization_id: str
    id: str
    requests: Minute = msgspec.field(default_factory=Minute)
    tokens: Minute = msgspec.field(default_factory=Minute)
    asked_at: float = 0.0
    in_flight: int = 0
    reserved: dict[int, int] = {}
    """The most that the calls in flight may cost, by the day on which they began."""
    days: dict[int, int] = {}
    """What was spent, by the beginning of the day."""
    months: dict[int, int] = {}
    read_at: float | None = None
    """When this was read from the record. None if it never was."""
    is_guessed: bool = False
    """Whether `days` has guesses, of calls whose worker died."""

    def reserve(self, day: int, cost: int) -> None:
        """Reserve what a call of this day may cost. A negative cost frees it."""
        reserved = self.reserved.get(day, 0) + cost
        if reserved:
            self.reserved[day] = reserved
        else:
            self.reserved.pop(day, None)

    def spend(self, day: int, cost: int) -> None:
        """Count what a call of this day has cost."""
        month = find_month(day)
        self.days[day] = self.days.get(day, 0) + cost
        self.months[month] = self.months.get(month, 0) + cost

    def is_idle(self, now: float) -> bool:
        """Whether forgetting it changes nothing."""
        windows = (self.requests, self.tokens)
        is_in_use = self.in_flight or now - self.asked_at < SPAN_S
        return not (is_in_use or any(each.look(now) for each in windows))


class Need(NamedTuple):
    """What a call may use."""

    tokens: int
    cost: int
    """In units of 1e-9 US dollars."""
    day: int
    """The beginning of the day on which it began."""
