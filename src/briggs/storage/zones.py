"""Remembers what the completions of each past hour range over, so that lists skip whole hours.

A list for which hardly anything matches, or whose order is not that of time, would read the whole
index. Readers learn each hour once and keep it in memory. The writer says which hours it changes:
those are read again. Hours that are not known are searched, so a list never misses anything.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from hashlib import blake2b
from itertools import chain
from typing import Any, NamedTuple, cast

import msgspec
from sqlalchemy import ColumnElement, Connection, bindparam, func, select

from briggs.storage.batches import split
from briggs.storage.tables import completions
from briggs.types.completions import current_time_us
from briggs.types.filters import AllOf, AnyOf, Comparison, Filter, Operator, Value

HOUR_US = 3_600_000_000
LEARNT_WITHIN_S = 0.1
"""How long one list may take to learn hours. The next one goes on, and so do idle moments."""

LEARNT_AT_ONCE = 4
APART_MAX = 7 * 24
"""How many hours may be between what is known and an older range for both to be learnt."""

SETTLED_US = 600_000_000
"""How long ago an hour must have ended to be learnt, if other processes write too. Their clocks may
be slow, and they say only of hours that they take for past ones that they changed them.
"""

HOURS_MAX = 50_000
"""How many hours are remembered, of all organizations."""
NAMES_MAX = 200
"""How many names of a kind are remembered of an hour."""
USERS_MAX = 2_000
"""How many end users an hour may have for them to be remembered."""
USER_BITS = 16_384
USER_MARKS = 4
"""Each user is some bits of a set. With `USERS_MAX`, one in forty others seems to be in it."""

_columns = completions.c
BOUNDED = {
    "cost": _columns.cost_usd,
    "duration": _columns.duration_ms,
    "tokens": _columns.total_tokens,
    "p_mean": _columns.p_mean,
    "p_least": _columns.p_least,
}
"""The fields to sort by whose least and most are known."""

_FILTERED = {
    **BOUNDED,
    "first_token": _columns.first_token_ms,
    "prompt_tokens": _columns.prompt_tokens,
    "completion_tokens": _columns.completion_tokens,
    "cached_tokens": _columns.cached_tokens,
    "reasoning_tokens": _columns.reasoning_tokens,
    "retries": _columns.retry_count,
    "http_status": _columns.http_status,
}
"""All whose least and most are known. They stand in the index by time, as the names do."""

_NAMED: Sequence[Mapping[str, Sequence[ColumnElement[Any]]]] = (
    {
        "status": (_columns.status,),
        "model": (_columns.model, _columns.response_model),
        "provider": (_columns.provider,),
        "error": (_columns.failure_kind,),
    },
    {
        "kind": (_columns.kind,),
        "source": (_columns.source,),
        "finish_reason": (_columns.finish_reasons,),
    },
    {"key": (_columns.key_id,)},
    {"http_status": (_columns.http_status,)},
)
"""Fields and their columns. The values of a group are read together, so there should be few."""

_NAMES = frozenset(name for group in _NAMED for name in group)
_Hour = tuple[str, int]
"""An organization, and the number of an hour since 1970."""


class Zone(NamedTuple):
    """What the completions of an hour range over."""

    bounds: Mapping[str, tuple[float, float] | None]
    """The least and the most. None if all are unknown."""
    names: Mapping[str, frozenset[Any]]
    """The values of a field, with None for unknown ones. Absent if there are too many."""
    missing: frozenset[str] = frozenset()
    """The fields with bounds that some completions have no value of."""
    users: int | None = None
    """A set of bits for the end users. None if there are too many."""


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
        self._read: set[_Hour] = set()
        """Being learnt, and not changed since."""

    def touch(self, hours: Iterable[_Hour]) -> None:
        """Note that the present transaction changes completions of these hours."""
        with self._lock:
            for organization_id, hour in hours:
                self._open.add((organization_id, hour))
                self._read.discard((organization_id, hour))
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
                    self._read.clear()

    def forget(self) -> None:
        """Forget everything, because something else may have written."""
        with self._lock:
            self._maps.clear()
            self._read.clear()

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
            for hours in self._list_unknown(connection, organization_id, begin, end or _END):
                if self._count() > HOURS_MAX:
                    return True
                if time.monotonic() > until:
                    return False
                self._learn(connection, organization_id, hours, snapshot=snapshot)
        finally:
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

    def _list_unknown(
        self, connection: Connection, organization_id: str, begin: int, end: int
    ) -> Iterable[Sequence[int]]:
        """The hours to learn: those that changed, those that have passed since, and older ones."""
        present = (current_time_us() - self.lag_us) // HOUR_US
        oldest = connection.scalar(_OLDEST, {"organization": organization_id})
        if oldest is None:
            return
        with self._lock:
            known = self._maps.setdefault(organization_id, _Map(present, present))
            again = sorted((hour for hour in known.dirty if hour < present), reverse=True)
            newer = range(known.high, present)
            low = known.low
        yield from split(again, LEARNT_AT_ONCE)
        yield from split(newer, LEARNT_AT_ONCE)
        if low - end // HOUR_US <= APART_MAX:
            older = range(low - 1, max(begin, oldest) // HOUR_US - 1, -1)
            yield from split(older, LEARNT_AT_ONCE)

    def _learn(
        self,
        connection: Connection,
        organization_id: str,
        hours: Sequence[int],
        *,
        snapshot: Callable[[Connection], AbstractContextManager[None]],
    ) -> None:
        keys = {(organization_id, hour) for hour in hours}
        with self._lock:
            # Before the snapshot, so that it has what was committed until now.
            self._read = keys - self._open
        with snapshot(connection):
            found = {hour: _read_zone(connection, organization_id, hour) for hour in hours}
        with self._lock:
            known = self._maps.get(organization_id)
            still = {hour for hour in hours if (organization_id, hour) in self._read}
            if known is None:
                return
            for hour in hours:
                known.zones.pop(hour, None)
                known.dirty.discard(hour)
                zone = found[hour]
                if hour not in still:
                    known.dirty.add(hour)
                elif zone is not None:
                    known.zones[hour] = zone
            known.low = min(known.low, *hours)
            known.high = max(known.high, max(hours) + 1)


_END = 2**62


def _read_zone(connection: Connection, organization_id: str, hour: int) -> Zone | None:
    this = {
        "organization": organization_id,
        "begin": hour * HOUR_US,
        "end": (hour + 1) * HOUR_US,
    }
    count, *edges = connection.execute(_BOUNDS, this).one()
    if not count:
        return None
    found = dict(zip(_FILTERED, zip(*[iter(edges)] * 3, strict=True), strict=True))
    names: dict[str, frozenset[Any]] = {}
    for group, statement in zip(_NAMED, _SELECT_NAMES, strict=True):
        rows = connection.execute(statement, this).all()
        if len(rows) <= NAMES_MAX:
            names |= _read_names(group, rows)
    users = connection.scalars(_SELECT_USERS, this).all()
    return Zone(
        {field: _read_bounds(least, most) for field, (least, most, _) in found.items()},
        names,
        missing=frozenset(field for field, (_, _, known) in found.items() if known < count),
        users=_mark_all(users) if len(users) <= USERS_MAX else None,
    )


def _read_names(
    group: Mapping[str, Sequence[Any]], rows: Sequence[Sequence[Any]]
) -> dict[str, frozenset[Any]]:
    place, names = 0, {}
    for field, columns in group.items():
        some = slice(place, place + len(columns))
        names[field] = frozenset(name for row in rows for name in _list_names(row[some]))
        place = some.stop
    return names


def _list_names(values: Sequence[Any]) -> list[Any]:
    """What the columns of a field have. A column may have a list. An empty text is no name."""
    names: list[Any] = []
    for value in values:
        names += value if isinstance(value, list) else [value] if value not in (None, "") else []
    return names or [None]


def _mark_all(users: Iterable[str | None]) -> int:
    marks = 0
    for user in users:
        marks |= _mark(user)
    return marks


def _mark(user: str | None) -> int:
    """The bits that stand for a user, or for none."""
    if user is None:
        return 1
    digest = blake2b(user.encode("utf-8", "surrogatepass"), digest_size=4 * USER_MARKS).digest()
    places = (int.from_bytes(digest[at : at + 4]) for at in range(0, len(digest), 4))
    marks = 0
    for place in places:
        # The first bit is that of no user.
        marks |= 1 << (1 + place % (USER_BITS - 1))
    return marks


def _read_bounds(least: Any, most: Any) -> tuple[float, float] | None:
    if least is None:
        return None
    if not isinstance(least, int | float) or not isinstance(most, int | float):
        # An integer that is too large for the database.
        return -math.inf, math.inf
    return least, most


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
    oldest: int | None = connection.scalar(_OLDEST.where(_SINCE), this)
    return oldest


def prunes(filter: Filter | None) -> bool:
    """Whether a filter requires something that is known of whole hours."""
    if isinstance(filter, AllOf):
        return any(map(prunes, filter.inner))
    if isinstance(filter, AnyOf):
        return all(map(prunes, filter.inner))
    if not isinstance(filter, Comparison):
        return False
    if filter.field in _NAMES:
        return True
    if filter.field == "user":
        return filter.operator == "="
    return filter.field in _FILTERED or filter.field == "perplexity"


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
    if filter.field in _NAMES and not _may_be_named(filter, zone.names.get(filter.field)):
        return False
    if filter.field in _NAMES and filter.field not in _FILTERED:
        return True
    if filter.field == "user":
        marks = _mark(None if value.is_none else value.text)
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
    given = value.number if filter.field in _FILTERED else value.text
    wanted = {None if value.is_none else given}
    return bool(names & wanted if filter.operator == "=" else names - wanted)


_OURS = _columns.organization_id == bindparam("organization")
_OLDEST = select(func.min(_columns.created_at)).where(_OURS)
_SINCE = _columns.created_at >= bindparam("begin")
_THIS = (
    _OURS,
    _SINCE,
    _columns.created_at < bindparam("end"),
)
_BOUNDS = select(
    func.count(),
    *(edge(column) for column in _FILTERED.values() for edge in (func.min, func.max, func.count)),
).where(*_THIS)
_SELECT_NAMES = [
    select(*chain.from_iterable(group.values())).where(*_THIS).distinct().limit(NAMES_MAX + 1)
    for group in _NAMED
]
_SELECT_USERS = select(_columns.user).where(*_THIS).distinct().limit(USERS_MAX + 1)
