"""Remembers what the completions of each past hour range over, so that lists skip whole hours.

A list for which hardly anything matches, or whose order is not that of time, would read the whole
index. Readers learn each hour once, from what is kept of it (`kept_hours.py`) or from its rows, and
remember it. The writer says which hours it changes: those are learnt again. Hours that are not
known are searched, so a list never misses anything.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, cast

import msgspec
from sqlalchemy import Connection, bindparam, func, select

from briggs.storage.hours import (
    FILTERED,
    HOUR_US,
    NAMES,
    SETTLED_US,
    Zone,
    list_hours,
    mark_user,
    read_kept,
    read_zone,
)
from briggs.storage.tables import completions
from briggs.types.completions import current_time_us
from briggs.types.filters import AllOf, AnyOf, Comparison, Filter, Operator, Value

LEARNT_WITHIN_S = 0.1
"""How long one list may take to learn hours. The next one goes on, and so do idle moments."""

LEARNT_AT_ONCE = 4
LISTED_AT_ONCE = 500
"""How many hours are learnt in one go from what is kept of them."""
APART_MAX = 7 * 24
"""How many hours may be between what is known and an older range for both to be learnt."""

HOURS_MAX = 50_000
"""How many hours are remembered, of all organizations."""
_Hour = tuple[str, int]
"""An organization, and the number of an hour since 1970."""


class ZoneSpan(NamedTuple):
    """A part of the time of a list. Its zone is None if it has to be searched to know."""

    begin: int
    end: int
    zone: Zone | None = None


class _Map(msgspec.Struct):
    """The hours of an organization from `low` to before `high` that are known, or are dirty."""

    low: int
    high: int
    zones: dict[int, Zone] = {}
    """Hours without completions are left out."""
    dirty: set[int] = set()


class Zones:
    """`database.zones`. Readers and the writer use it from their threads."""

    def __init__(self, *, version: int | None = None) -> None:
        """With a `version`, other processes write too, and count it up when they change hours."""
        self._version = version
        # A transaction of another process that saw an hour as the present one is over by then.
        self.lag_us = 0 if version is None else SETTLED_US
        self._lock = threading.Lock()
        self._learning = threading.Lock()
        self._maps: dict[str, _Map] = {}
        self._open: set[_Hour] = set()
        """Changed by the transaction that is being written. A reader may not see it yet."""
        self._changed: set[_Hour] = set()
        """Changed since hours are being learnt."""
        self.last_kept = -1
        """The newest hour that this process has kept in the database. Belongs to the writer."""

    def touch(self, hours: Iterable[_Hour]) -> None:
        """Note that the present transaction changes completions of these hours."""
        with self._lock:
            for organization_id, hour in hours:
                self._open.add((organization_id, hour))
                self._changed.add((organization_id, hour))
                known = self._maps.get(organization_id)
                if known is not None and known.low <= hour < known.high:
                    known.dirty.add(hour)

    def settle(self) -> None:
        """Note that the transaction has ended, in whatever way."""
        if self._open:
            with self._lock:
                self._open.clear()

    def follow(self, version: int, *, is_own: bool = False) -> None:
        """Forget everything if another process has counted up the version. An older one is that of
        a snapshot.
        """
        with self._lock:
            assert self._version is not None, "only where other processes write"
            if version > self._version:
                self._version = version
                if not is_own:
                    self._maps.clear()

    def forget(self) -> None:
        """Forget everything, because something else may have written."""
        with self._lock:
            self._maps.clear()

    def learn(
        self,
        connection: Connection,
        *,
        snapshot: Callable[[Connection], AbstractContextManager[None]],
        organization_id: str,
        begin: int,
        end: int | None,
    ) -> bool:
        """Learn the hours of a range, the newest first, as far as there is time. Returns whether
        there was time for all that can be learnt.
        """
        if not self._learning.acquire(blocking=False):
            return False
        try:
            until = time.monotonic() + LEARNT_WITHIN_S
            while part := self._find_unknown(connection, organization_id, begin, end or _END):
                if self._count() > HOURS_MAX:
                    return True
                if time.monotonic() > until:
                    return False
                if not self._learn(connection, organization_id, part, snapshot=snapshot):
                    return False
        finally:
            self._changed.clear()
            self._learning.release()
        return True

    def list_spans(
        self, *, organization_id: str, begin: int, end: int | None, filter: Filter | None
    ) -> list[ZoneSpan]:
        """The parts of a range that may have what a filter selects, the newest first."""
        with self._lock:
            known = self._maps.get(organization_id)
            if known is None:
                return [ZoneSpan(begin, _END if end is None else end)]
            last = _END if end is None else end
            spans = [ZoneSpan(max(begin, known.high * HOUR_US), last)]
            first, beyond = begin // HOUR_US, -(-last // HOUR_US)
            asked = (each for each in known.zones.keys() | known.dirty if first <= each < beyond)
            for hour in sorted(asked, reverse=True):
                zone = None if hour in known.dirty else known.zones[hour]
                if zone is None or filter is None or _may_match(filter, zone):
                    at = hour * HOUR_US
                    spans.append(ZoneSpan(max(begin, at), min(last, at + HOUR_US), zone))
            spans.append(ZoneSpan(begin, min(last, known.low * HOUR_US)))
        return [each for each in spans if each.begin < each.end]

    def _count(self) -> int:
        with self._lock:
            return sum(len(known.zones) for known in self._maps.values())

    def _find_unknown(
        self, connection: Connection, organization_id: str, begin: int, end: int
    ) -> _Part | None:
        """The hours to learn: those that changed, those that have passed since, and older ones."""
        present = (current_time_us() - self.lag_us) // HOUR_US
        with self._lock:
            if organization_id not in self._maps:
                self._maps[organization_id] = _Map(present, present)
            known = self._maps[organization_id]
            # What a transaction is changing cannot be learnt before it ends.
            writing = {hour for owner, hour in self._open if owner == organization_id}
            again = sorted((hour for hour in known.dirty - writing if hour < present), reverse=True)
            low, high = known.low, known.high
        if again:
            count = 1
            while count < LEARNT_AT_ONCE and again[0] - count in again:
                count += 1
            return _Part(again[0] - count + 1, again[0] + 1)
        if high < present:
            return _Part(high, present, newest_first=False)
        oldest = begin // HOUR_US
        if oldest < low and low - end // HOUR_US <= APART_MAX:
            return _Part(oldest, low)
        return None

    def _learn(
        self,
        connection: Connection,
        organization_id: str,
        part: _Part,
        *,
        snapshot: Callable[[Connection], AbstractContextManager[None]],
    ) -> bool:
        """Learn some hours of a part, its first. Returns False if all was forgotten meanwhile."""
        with self._lock:
            # Before the snapshot, so that it has what was committed until now.
            self._changed = {*self._open}
        with snapshot(connection):
            found, part = _read_part(connection, organization_id, part)
        with self._lock:
            known = self._maps.get(organization_id)
            if known is None:
                return False
            learnt = range(part.begin, part.end)
            for hour in [each for each in (*known.zones, *known.dirty) if each in learnt]:
                known.zones.pop(hour, None)
                known.dirty.discard(hour)
            changed = {hour for owner, hour in self._changed if owner == organization_id}
            known.dirty |= {hour for hour in changed if hour in learnt}
            known.zones |= {hour: zone for hour, zone in found.items() if hour not in known.dirty}
            known.low, known.high = min(known.low, part.begin), max(known.high, part.end)
        return True


class _Part(NamedTuple):
    """Hours to learn, from `begin` to before `end`."""

    begin: int
    end: int
    newest_first: bool = True


def _read_part(
    connection: Connection, organization_id: str, part: _Part
) -> tuple[dict[int, Zone], _Part]:
    """The first hours of a part that have completions, and the part that these are all of."""
    listed = list_hours(
        connection,
        organization_id=organization_id,
        begin=part.begin,
        end=part.end,
        limit=LISTED_AT_ONCE,
        newest_first=part.newest_first,
    )
    kept = read_kept(connection, organization_id=organization_id, of=listed)
    unkept = [hour for hour in listed if hour not in kept]
    rest = unkept[LEARNT_AT_ONCE:]
    taken = listed[: listed.index(rest[0])] if rest else listed
    found = dict(kept)
    for hour in unkept[:LEARNT_AT_ONCE]:
        zone = read_zone(connection, organization_id=organization_id, hour=hour)
        assert zone is not None, "it has completions"
        found[hour] = zone
    if rest or len(listed) == LISTED_AT_ONCE:
        last = taken[-1]
        part = part._replace(begin=last) if part.newest_first else part._replace(end=last + 1)
    return {hour: found[hour] for hour in taken}, part


_END = 2**62


def merge(spans: Iterable[ZoneSpan], *, most: float = math.inf) -> list[ZoneSpan]:
    """Neighbouring spans as one, and also those that are close if there are more than `most`."""
    ordered = sorted(spans, key=lambda span: span.begin)
    gap = 0
    while True:
        merged: list[ZoneSpan] = []
        for span in ordered:
            if merged and span.begin <= merged[-1].end + gap:
                merged[-1] = ZoneSpan(merged[-1].begin, max(merged[-1].end, span.end))
            else:
                merged.append(ZoneSpan(span.begin, span.end))
        if len(merged) <= most:
            return merged[::-1]
        gap = 2 * gap or HOUR_US


def find_oldest(connection: Connection, *, organization_id: str, since: int) -> int | None:
    """When the oldest completion from a time on was created."""
    this = {"organization": organization_id, "begin": since}
    oldest: int | None = connection.scalar(_OLDEST, this)
    return oldest


def prunes(filter: Filter | None) -> bool:
    """Whether a filter requires something that is known of whole hours."""
    if isinstance(filter, AllOf):
        return any(map(prunes, filter.inner))
    if isinstance(filter, AnyOf):
        return all(map(prunes, filter.inner))
    if not isinstance(filter, Comparison):
        return False
    if filter.field in NAMES:
        return True
    if filter.field == "user":
        return filter.operator == "="
    return filter.field in FILTERED or filter.field == "perplexity"


def _may_match(filter: Filter, zone: Zone) -> bool:
    """Whether a completion of the hour may fulfil a filter."""
    if isinstance(filter, AllOf):
        return all(_may_match(each, zone) for each in filter.inner)
    if isinstance(filter, AnyOf):
        return any(_may_match(each, zone) for each in filter.inner)
    if not prunes(filter):
        return True
    assert isinstance(filter, Comparison), "no other filter prunes by itself"
    if filter.field == "perplexity":
        return _may_match(_as_p_mean(filter), zone)
    value = filter.value
    if filter.field in NAMES and not _may_be_named(filter, zone.names.get(filter.field)):
        return False
    if filter.field in NAMES and filter.field not in FILTERED:
        return True
    if filter.field == "user":
        marks = mark_user(None if value.is_none else value.text)
        return zone.users is None or zone.users & marks == marks
    bounds = zone.bounds[filter.field]
    if value.is_none:
        return filter.field in zone.missing if filter.operator == "=" else bounds is not None
    if filter.operator == "!=":
        return filter.field in zone.missing or bounds != (value.number, value.number)
    if bounds is None or value.number is None:
        return bounds is not None
    least, most = bounds
    return {
        "<": least < value.number,
        "<=": least <= value.number,
        ">": most > value.number,
        ">=": most >= value.number,
        "=": least <= value.number <= most,
    }[filter.operator]


def _as_p_mean(perplexity: Comparison) -> Comparison:
    """A comparison of the perplexity as one of its inverse. Not exact if it is not above 0."""
    number = perplexity.value.number
    if perplexity.value.is_none or number is None:
        return Comparison("p_mean", perplexity.operator, perplexity.value)
    turned = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
    operator = cast(Operator, turned.get(perplexity.operator, perplexity.operator))
    if number <= 0:
        # No perplexity is equal, so that only an inequality holds of all, known or not.
        operator, number = ("!=", math.inf) if operator == "!=" else (">=", -math.inf)
    else:
        number = 1 / number
    return Comparison("p_mean", operator, Value(text="", number=number))


def _may_be_named(filter: Comparison, names: frozenset[Any] | None) -> bool:
    if names is None or filter.operator not in ("=", "!="):
        return True
    value = filter.value
    given = value.number if filter.field in FILTERED else value.text
    wanted = {None if value.is_none else given}
    return bool(names & wanted if filter.operator == "=" else names - wanted)


_OLDEST = select(func.min(completions.c.created_at)).where(
    completions.c.organization_id == bindparam("organization"),
    completions.c.created_at >= bindparam("begin"),
)
