"""Which hours of the record have completions, and what those of an hour range over."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from itertools import chain
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import ColumnElement, Connection, Select, bindparam, func, select

from briggs.storage.tables import completions, hours
from briggs.storage.types import AnyText

HOUR_US = 3_600_000_000

SETTLED_US = 600_000_000
"""How long ago an hour must have ended to be kept. The clock of another process may be slow, and it
deletes only what is kept of hours that it takes for past ones.
"""

FORM = 1
"""Changes when what is kept of an hour is to be read in another way from the same rows."""

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

FILTERED = {
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

NAMED: Sequence[Mapping[str, Sequence[ColumnElement[Any]]]] = (
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

NAMES = frozenset(name for group in NAMED for name in group)


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


def list_hours(
    connection: Connection,
    *,
    organization_id: str,
    begin: int,
    end: int,
    limit: int,
    newest_first: bool = True,
) -> list[int]:
    """The hours from `begin` to before `end` that have completions.

    Each is one look into the index by time, however many hours without any lie between them.
    """
    this = {
        "organization": organization_id,
        "begin": begin * HOUR_US,
        "end": end * HOUR_US,
        "most": limit,
    }
    found = connection.scalars(_FALLING_HOURS if newest_first else _RISING_HOURS, this)
    return [at // HOUR_US for at in found]


def read_zone(connection: Connection, *, organization_id: str, hour: int) -> Zone | None:
    """What the rows of an hour range over. None if there are none."""
    this = {
        "organization": organization_id,
        "begin": hour * HOUR_US,
        "end": (hour + 1) * HOUR_US,
    }
    count, *edges = connection.execute(_BOUNDS, this).one()
    if not count:
        return None
    found = dict(zip(FILTERED, zip(*[iter(edges)] * 3, strict=True), strict=True))
    names: dict[str, frozenset[Any]] = {}
    for group, statement in zip(NAMED, _SELECT_NAMES, strict=True):
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


def read_kept(
    connection: Connection, *, organization_id: str, of: Sequence[int]
) -> dict[int, Zone]:
    """What is kept of some hours."""
    if not of:
        return {}
    this = {"organization": organization_id, "begin": min(of), "end": max(of) + 1}
    wanted = {*of}
    zones: dict[int, Zone] = {}
    for hour, content in connection.execute(_SELECT, this):
        if hour in wanted and (zone := decode(content)) is not None:
            zones[hour] = zone
    return zones


def encode(zone: Zone) -> bytes | None:
    """What is kept of a zone. None if it has a text or a number that cannot be."""
    users = zone.users
    kept = _Kept(
        form=FORM,
        bounds=dict(zone.bounds),
        names={name: list(values) for name, values in zone.names.items()},
        missing=sorted(zone.missing),
        users=None if users is None else users.to_bytes(-(-users.bit_length() // 8)),
    )
    try:
        return zlib.compress(_ENCODER.encode(kept))
    except (UnicodeEncodeError, OverflowError, TypeError):
        return None


def decode(content: bytes) -> Zone | None:
    """A zone that was kept. None if another version kept it."""
    try:
        kept = _DECODER.decode(zlib.decompress(content))
    except (zlib.error, msgspec.DecodeError):
        return None
    if kept.form != FORM or kept.bounds.keys() != FILTERED.keys() or kept.names.keys() - NAMES:
        return None
    return Zone(
        kept.bounds,
        {name: frozenset(values) for name, values in kept.names.items()},
        missing=frozenset(kept.missing),
        users=None if kept.users is None else int.from_bytes(kept.users),
    )


class _Kept(msgspec.Struct):
    form: int
    bounds: dict[str, tuple[int | float, int | float] | None]
    names: dict[str, list[str | int | float | None]]
    missing: list[str]
    users: bytes | None


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
        marks |= mark_user(user)
    return marks


def mark_user(user: str | None) -> int:
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
    if not all(isinstance(each, int | float) and abs(each) < 2**63 for each in (least, most)):
        # An integer that is too large for the database, or for what is kept.
        return -math.inf, math.inf
    return least, most


_OURS = _columns.organization_id == bindparam("organization")
_SINCE = _columns.created_at >= bindparam("begin")
_THIS = (
    _OURS,
    _SINCE,
    _columns.created_at < bindparam("end"),
)
_BOUNDS = select(
    func.count(),
    *(edge(column) for column in FILTERED.values() for edge in (func.min, func.max, func.count)),
).where(*_THIS)
_SELECT_NAMES = [
    select(*chain.from_iterable(group.values())).where(*_THIS).distinct().limit(NAMES_MAX + 1)
    for group in NAMED
]
_SELECT_USERS = select(_columns.user).where(*_THIS).distinct().limit(USERS_MAX + 1)


def _select_hours(*, newest_first: bool) -> Select[Any]:
    """A time in each hour that has completions: that of the next one, seen from the hour before."""

    def next(low: Any, high: Any) -> Any:
        # One bound on each side: SQLite seeks to the first that it finds, and walks to another.
        in_order = at.desc() if newest_first else at
        statement = select(at).where(_OURS, at >= low, at < high).order_by(in_order).limit(1)
        return statement.scalar_subquery()

    at = _columns.created_at
    begin: Any = bindparam("begin")
    end: Any = bindparam("end")
    found = select(next(begin, end).label("at")).cte("found", recursive=True)
    hour = found.c.at - found.c.at % HOUR_US
    further = next(begin, hour) if newest_first else next(hour + HOUR_US, end)
    found = found.union_all(select(further).where(found.c.at.is_not(None)))
    return select(found.c.at).where(found.c.at.is_not(None)).limit(bindparam("most"))


_FALLING_HOURS = _select_hours(newest_first=True)
_RISING_HOURS = _select_hours(newest_first=False)
_SELECT = select(hours.c.hour, hours.c.zone).where(
    hours.c.organization_id == bindparam("organization", type_=AnyText),
    hours.c.hour >= bindparam("begin"),
    hours.c.hour < bindparam("end"),
    hours.c.zone.is_not(None),
)
_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(_Kept)
