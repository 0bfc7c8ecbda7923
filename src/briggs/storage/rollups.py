"""Keeps the rollups: exact sums over completions, by minute and hour, model and provider.

Every transaction that ends, changes or deletes completions also writes what that adds to the sums
or takes away from them. About once a second, these changes are folded into the rollups. A reader
adds both. So at any time, the sums are those of the rows, and no two writers wait for each other.

An hour has the sums of all of its minutes, or those of none. The minutes of old hours are dropped,
and read from the rows when they are asked for. Which hours are old is a matter of the clock, and so
of how much there is to read. What the sums are is not: they follow from the changes alone.

Completions from before `rollup_fills.until_at` are not in the sums yet. They are counted in small
steps, newest first. Until then their changes are not written either.
"""

from __future__ import annotations

import heapq
import operator
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import msgspec
from sqlalchemy import Connection, delete, func, select, update

from briggs.storage import kept_hours, rows, spending
from briggs.storage.access import Access
from briggs.storage.bodies import Bodies
from briggs.storage.database import database_of
from briggs.storage.previews import read_previews
from briggs.storage.spending import Costs
from briggs.storage.tables import (
    IS_STARTED,
    completions,
    rollup_changes,
    rollup_fills,
    rollups,
)
from briggs.types.completions import Completion, create_id, current_time_us
from briggs.types.histograms import Histogram, add, bucket_end
from briggs.types.rollups import SPAN_US, Rollup, Span, Tally, find_key
from briggs.wires.recorded.preview import Preview

_Key = tuple[str, Span, int, str, str]
"""The primary key of a rollup."""

_Place = tuple[str, int, str, str]
"""Where a completion is counted: an organization, a minute, a model and a provider."""

_Slot = tuple[int, str, str]
"""The beginning of a rollup, a model and a provider."""

FOLD_EVERY_S = 1.0
FOLD_ROWS = 2_000
FILL_ROWS = 500
FILL_EVERY_S = 0.1
"""How often older completions are counted when there is no idle moment."""

COUNTED_WITHIN_S = 0.1
"""How long it may take to count calls."""

RETRY_S = 60.0
MINUTES_KEPT_US = 3 * SPAN_US["hour"]
"""The minutes of older hours are dropped. These hours stay."""


class RollupProgress(msgspec.Struct, kw_only=True, frozen=True):
    """How far an organization's older completions are counted."""

    until_at: int
    """Completions from before this time, in Unix microseconds, are not counted yet."""
    share: float
    """How much of the time is done, from 0 to 1."""


class Doubtful(msgspec.Struct, kw_only=True, frozen=True):
    """A completion whose answer has a very unlikely token."""

    id: str
    p_least: float
    preview: Preview | None
    """None if its large bodies were written just now."""


class Rollups:
    """`store.rollups`."""

    def __init__(self, access: Access, *, bodies: Bodies) -> None:
        self._access = access
        self._bodies = bodies

    async def list_all(
        self, *, organization_id: str, span: Span, created_from: int, created_to: int
    ) -> Sequence[Rollup]:
        """The rollups that begin in a range of Unix times in microseconds, the oldest first.

        Minutes from before about three hours are counted from the rows, which takes a while for
        many of them.
        """
        return await self._access.read(
            lambda connection: list_rollups(
                connection,
                organization_id=organization_id,
                span=span,
                created_from=created_from,
                created_to=created_to,
            )
        )

    async def count_calls(
        self, *, organization_id: str, created_from: int | None, created_to: int | None
    ) -> int | None:
        """How many completions there are in a range. None if that cannot be known quickly."""
        return await self._access.read(
            lambda connection: _count_calls(
                connection, organization_id=organization_id, begin=created_from, end=created_to
            )
        )

    async def list_least_certain(
        self, rollups: Iterable[Rollup], *, organization_id: str, span: Span, limit: int
    ) -> Sequence[Doubtful]:
        """The completions with the least likely tokens, the least certain first.

        The rollups say in which minutes or hours to look. If very many completions are equally
        uncertain, to within 6 %, the newest are listed.
        """
        places = _find_least_certain(rollups, limit=limit)
        return await self._access.read(
            lambda connection: _list_least_certain(
                connection,
                places,
                organization_id=organization_id,
                span_us=SPAN_US[span],
                limit=limit,
                bodies=self._bodies,
            )
        )

    async def rebuild(self, *, organization_id: str) -> None:
        """Forget an organization's rollups, and count its completions again in the background."""
        await self._access.act(
            lambda connection: _rebuild(connection, organization_id=organization_id)
        )

    async def retrieve_progress(self, *, organization_id: str) -> RollupProgress | None:
        """How far the counting of older completions is; None if all are counted."""
        return await self._access.read(
            lambda connection: _retrieve_progress(connection, organization_id=organization_id)
        )


def record(
    connection: Connection,
    *,
    added: Iterable[Completion] = (),
    removed: Iterable[Completion] = (),
    is_spent: bool = False,
) -> None:
    """Write what changes with completions that were added and removed. Others were changed: they
    are removed as they were, and added as they are. Those that are `started` do not count.

    `is_spent` says that the added ones end now, so that their cost is spent.
    """
    tallies: dict[_Place, Tally] = {}
    spent: dict[_Place, Costs] = {}
    fills = _list_fills(connection)
    hours: set[tuple[str, int]] = set()
    for some, sign in ((added, 1), (removed, -1)):
        for each in some:
            hours.add((each.organization_id, each.created_at // SPAN_US["hour"]))
            if each.status != "started" and each.created_at >= fills.get(each.organization_id, 0):
                _count(tallies, each, sign=sign)
    if is_spent:
        for each in added:
            if each.cost_usd:
                spent.setdefault(_find_place(each), Costs()).add(each)
    database = database_of(connection)
    database.zones.touch(hours)
    kept_hours.forget(connection, hours)
    if database.is_shared and hours and min(hours, key=_HOUR)[1] < _this_hour():
        database.note_change(connection)
    _write_changes(connection, tallies, spent)


class Upkeep:
    """Folds changes, and counts older completions. Belongs to the writer's thread."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._fold_at = self._fill_at = 0.0

    @property
    def waits(self) -> bool:
        """Whether there is work for an idle moment."""
        return bool(_list_fills(self._connection))

    def go_on(self, *, idle: bool) -> bool:
        """Do what is due. Returns whether older completions were counted.

        An error is raised, and leaves everything as it was, to be tried again later.
        """
        now = time.monotonic()
        if now >= self._fold_at:
            self._fold_at = now + RETRY_S
            is_done = fold(self._connection) < FOLD_ROWS
            self._fold_at = time.monotonic() + (FOLD_EVERY_S if is_done else 0)
        if not self.waits or now < self._fill_at:
            return False
        self._fill_at = now + RETRY_S
        fill(self._connection)
        self._fill_at = 0.0 if idle else time.monotonic() + FILL_EVERY_S
        return True


def fold(connection: Connection) -> int:
    """Add changes to the rollups. Returns how many there were."""
    key = (rollup_changes.c.organization_id, rollup_changes.c.id)
    if connection.execute(select(*key).limit(1)).first() is None:
        return 0
    with database_of(connection).transaction(connection):
        changes = connection.execute(select(rollup_changes).order_by(*key).limit(FOLD_ROWS)).all()
        _fold(connection, changes)
        spending.fold(connection, changes)
        for organization_id, some in groupby(changes, key=lambda row: row.organization_id):
            these = (key[0] == organization_id, key[1].in_([row.id for row in some]))
            connection.execute(delete(rollup_changes).where(*these))
    return len(changes)


def fill(connection: Connection) -> None:
    """Count a few older completions of one organization, the newest of them first."""
    forget_fills(connection)
    # Nothing may be deleted between reading them and counting them.
    with database_of(connection).transaction(connection):
        _fill(connection)
        database_of(connection).note_change(connection)
    forget_fills(connection)


def _fill(connection: Connection) -> None:
    row = connection.execute(select(rollup_fills).limit(1)).first()
    if row is None:
        return
    ours = completions.c.organization_id == row.organization_id
    older = [ours, completions.c.created_at < row.until_at]
    newest = select(completions.c.created_at).where(*older)
    newest = newest.order_by(completions.c.created_at.desc())
    until_at = connection.scalar(newest.offset(FILL_ROWS - 1).limit(1))
    if until_at is not None:
        older.append(completions.c.created_at >= until_at)
    tallies: dict[_Place, Tally] = {}
    ended = select(*_COUNTED).where(*older, completions.c.status != "started")
    for each in connection.execute(ended):
        _count(tallies, rows.decode(each, Completion), sign=1)
    _write_changes(connection, tallies)
    this = rollup_fills.c.organization_id == row.organization_id
    if until_at is None:
        connection.execute(delete(rollup_fills).where(this))
    else:
        connection.execute(update(rollup_fills).where(this).values(until_at=until_at))


def forget(connection: Connection, *, organization_id: str, before: int) -> None:
    """Delete the sums of all completions from before the beginning of an hour. What was spent on
    them stays. Within a transaction.
    """
    begin_at = rollup_changes.c.begin_at
    old = (rollup_changes.c.organization_id == organization_id, begin_at < before)
    spending.fold(connection, connection.execute(select(rollup_changes).where(*old)).all())
    connection.execute(delete(rollup_changes).where(*old))
    ours = rollups.c.organization_id == organization_id
    connection.execute(delete(rollups).where(ours, rollups.c.begin_at < before))
    kept_hours.forget_before(connection, organization_id=organization_id, at=before)
    forget_fills(connection)


def forget_fills(connection: Connection) -> None:
    """Forget what is cached, after it was or may have been changed."""
    database_of(connection).remembered.pop(_FILLS, None)


def _fold(connection: Connection, changes: Sequence[Any]) -> None:
    """Write the hours of these changes, and the minutes of those hours that have minutes."""
    minutes: dict[_Key, Tally] = {}
    for row in changes:
        key: _Key = (row.organization_id, "minute", row.begin_at, row.model, row.provider)
        minutes.setdefault(key, Tally()).add(_decode(row.tally))
    hours: dict[_Key, Tally] = {}
    for (organization_id, _, begin_at, model, provider), tally in minutes.items():
        key = (organization_id, "hour", _hour_of(begin_at), model, provider)
        hours.setdefault(key, Tally()).add(tally)
    kept_from = _hour_of(current_time_us() - MINUTES_KEPT_US)
    detailed = {
        place
        for place in {(key[0], key[2]) for key in hours}
        if _gets_minutes(connection, *place, kept_from=kept_from)
    }
    for key, tally in (*minutes.items(), *hours.items()):
        if key[1] == "hour" or (key[0], _hour_of(key[2])) in detailed:
            _write_rollup(connection, key, tally)
    for organization_id in {key[0] for key in hours}:
        connection.execute(
            delete(rollups).where(
                rollups.c.organization_id == organization_id,
                rollups.c.span == "minute",
                rollups.c.begin_at < kept_from,
            )
        )


def _gets_minutes(
    connection: Connection, organization_id: str, hour: int, *, kept_from: int
) -> bool:
    """Whether the minutes of an hour are written: if it has some, or nothing was counted yet.

    Otherwise they were dropped, and those that change now would be without what was there before.
    """
    if has_minutes(connection, organization_id=organization_id, hour=hour):
        return True
    is_known = select(rollups.c.span).where(
        rollups.c.organization_id == organization_id,
        rollups.c.span == "hour",
        rollups.c.begin_at == hour,
    )
    return hour >= kept_from and connection.execute(is_known.limit(1)).first() is None


def has_minutes(connection: Connection, *, organization_id: str, hour: int) -> bool:
    """Whether the minutes of an hour are stored, and not only the hour."""
    statement = select(rollups.c.span).where(
        rollups.c.organization_id == organization_id,
        rollups.c.span == "minute",
        rollups.c.begin_at >= hour,
        rollups.c.begin_at < hour + SPAN_US["hour"],
    )
    return connection.execute(statement.limit(1)).first() is not None


def list_rollups(
    connection: Connection,
    *,
    organization_id: str,
    span: Span,
    created_from: int,
    created_to: int,
) -> Sequence[Rollup]:
    """The rollups that begin in a range, the oldest first."""
    range = {"created_from": created_from, "created_to": created_to}
    with database_of(connection).snapshot(connection):
        tallies = _read_tallies(connection, organization_id, span, **range)
        if span == "minute":
            _count_dropped(connection, tallies, organization_id, **range)
    return [
        Rollup(
            begin_at=begin_at,
            model=model,
            provider=provider,
            tally=tally,
        )
        for (begin_at, model, provider), tally in sorted(
            tallies.items(), key=lambda item: item[0][0]
        )
        if tally
    ]


def _read_tallies(
    connection: Connection, organization_id: str, span: Span, *, created_from: int, created_to: int
) -> dict[_Slot, Tally]:
    """What is stored, with the changes that are not folded yet."""
    span_us = SPAN_US[span]
    tallies: dict[_Slot, Tally] = {}
    for table, conditions in ((rollups, [rollups.c.span == span]), (rollup_changes, [])):
        columns = table.c
        statement = select(columns.begin_at, columns.model, columns.provider, columns.tally)
        for begin_at, model, provider, tally in connection.execute(
            statement.where(
                columns.organization_id == organization_id,
                columns.begin_at >= created_from,
                columns.begin_at < created_to,
                *conditions,
            )
        ):
            key = (begin_at - begin_at % span_us, model, provider)
            if (known := tallies.get(key)) is None:
                tallies[key] = _decode(tally)
            else:
                known.add(_decode(tally))
    return tallies


def _count_dropped(
    connection: Connection,
    tallies: dict[_Slot, Tally],
    organization_id: str,
    *,
    created_from: int,
    created_to: int,
) -> None:
    """Replace the minutes of those hours whose minutes are not stored by what their rows count."""
    hours = select(rollups.c.begin_at).where(
        rollups.c.organization_id == organization_id,
        rollups.c.span == "hour",
        rollups.c.begin_at >= _hour_of(created_from),
        rollups.c.begin_at < created_to,
    )
    dropped = {
        hour
        for hour in connection.scalars(hours.distinct())
        if not has_minutes(connection, organization_id=organization_id, hour=hour)
    }
    for slot in [each for each in tallies if _hour_of(each[0]) in dropped]:
        del tallies[slot]
    # What is not counted yet counts nowhere.
    is_ours = rollup_fills.c.organization_id == organization_id
    counted_from = connection.scalar(select(rollup_fills.c.until_at).where(is_ours)) or 0
    minute = SPAN_US["minute"]
    first, last = (-(-each // minute) * minute for each in (created_from, created_to))
    for hour in dropped:
        begin, end = max(first, hour, counted_from), min(last, hour + SPAN_US["hour"])
        for each in _list_ended(connection, organization_id, created_from=begin, created_to=end):
            slot = (each.created_at - each.created_at % minute, *find_key(each))
            tallies.setdefault(slot, Tally()).count(each)


def sum_rows(
    connection: Connection,
    sums: dict[tuple[str, str], Tally],
    *,
    organization_id: str,
    created_from: int,
    created_to: int,
) -> None:
    """Add what the rows of a range count, by model and provider, to what the rollups must be."""
    for each in _list_ended(
        connection, organization_id, created_from=created_from, created_to=created_to
    ):
        sums.setdefault(find_key(each), Tally()).count(each)


def _list_ended(
    connection: Connection, organization_id: str, *, created_from: int, created_to: int
) -> Iterator[Completion]:
    """The completions of a range that count."""
    columns = completions.c
    ended = select(*_COUNTED).where(
        columns.organization_id == organization_id,
        columns.created_at >= created_from,
        columns.created_at < created_to,
        columns.status != "started",
    )
    return (rows.decode(row, Completion) for row in connection.execute(ended))


def _count_calls(
    connection: Connection, *, organization_id: str, begin: int | None, end: int | None
) -> int | None:
    """Whole hours by their rollups, and the calls before and after them one by one."""
    hour = SPAN_US["hour"]
    first = 0 if begin is None else -(-begin // hour) * hour
    last = (current_time_us() if end is None else end) // hour * hour
    if begin is not None and last <= first:
        first = last = begin
    try:
        with (
            database_of(connection).snapshot(connection),
            database_of(connection).time_limit(connection, COUNTED_WITHIN_S),
        ):
            hours = read_hours(connection, organization_id=organization_id, begin=first, end=last)
            if hours is None:
                return None
            place = completions.c.created_at
            ours = select(func.count()).where(completions.c.organization_id == organization_id)
            after = ours.where(place >= last)
            parts = [after if end is None else after.where(place < end)]
            parts.append(ours.where(IS_STARTED, place >= first, place < last))
            if begin is not None:
                parts.append(ours.where(place >= begin, place < first))
            count = sum(connection.scalar(part) or 0 for part in parts)
            count += sum(tally.calls for _, _, tally in hours)
            return count
    except TimeoutError:
        return None


class Ended(msgspec.Struct):
    """The part of a tally that says how many calls ended."""

    calls: int = 0
    failed: int = 0


def read_hours(
    connection: Connection, *, organization_id: str, begin: int, end: int
) -> list[tuple[int, str, Ended]] | None:
    """What ended in the whole hours from a time to before another: the beginning of an hour, a
    provider, and the sums to add up. None if older completions are not counted yet.

    The reads must see the same state.
    """
    # Not what the writer remembers, which may be older or newer than this state.
    is_ours = rollup_fills.c.organization_id == organization_id
    if begin < (connection.scalar(select(rollup_fills.c.until_at).where(is_ours)) or 0):
        return None
    found: list[tuple[int, str, Ended]] = []
    for table, conditions in ((rollups, [rollups.c.span == "hour"]), (rollup_changes, [])):
        at = table.c.begin_at
        whole = [table.c.organization_id == organization_id, at >= begin, at < end]
        statement = select(at, table.c.provider, table.c.tally).where(*whole, *conditions)
        found += [
            (_hour_of(begin_at), provider, _ENDED.decode(tally))
            for begin_at, provider, tally in connection.execute(statement)
        ]
    return found


def _find_least_certain(rollups: Iterable[Rollup], *, limit: int) -> dict[int, int]:
    """The times at which the least certain completions began, and the buckets to look in."""
    by_time: dict[int, Histogram] = {}
    for each in rollups:
        if each.tally.p_least:
            add(by_time.setdefault(each.begin_at, {}), each.tally.p_least)
    least = heapq.nsmallest(
        limit,
        (
            (bucket, -begin_at, count)
            for begin_at, counts in by_time.items()
            for bucket, count in counts.items()
        ),
    )
    places: dict[int, int] = {}
    for bucket, negative_begin_at, count in least:
        if limit > 0:
            places[-negative_begin_at] = bucket
            limit -= count
    return places


def _list_least_certain(
    connection: Connection,
    places: Mapping[int, int],
    *,
    organization_id: str,
    span_us: int,
    limit: int,
    bodies: Bodies,
) -> Sequence[Doubtful]:
    columns = completions.c
    found = [
        row
        for begin_at, bucket in places.items()
        for row in connection.execute(
            select(columns.p_least, columns.id)
            .where(
                columns.organization_id == organization_id,
                columns.created_at >= begin_at,
                columns.created_at < begin_at + span_us,
                # Wider than the bucket, because its end is rounded.
                columns.p_least < bucket_end(bucket + 1),
                columns.status != "started",
            )
            .order_by(columns.p_least)
            .limit(limit)
        )
    ]
    least = sorted(found, key=lambda row: row.p_least)[:limit]
    previews = read_previews(
        connection,
        ids=[row.id for row in least],
        organization_id=organization_id,
        bodies=bodies,
    )
    return [Doubtful(id=row.id, p_least=row.p_least, preview=previews.get(row.id)) for row in least]


def _rebuild(connection: Connection, *, organization_id: str) -> None:
    ours = rollup_changes.c.organization_id == organization_id
    spending.fold(connection, connection.execute(select(rollup_changes).where(ours)).all())
    for table in (rollups, rollup_changes, rollup_fills):
        connection.execute(delete(table).where(table.c.organization_id == organization_id))
    created_at = completions.c.created_at
    connection.execute(
        rollup_fills.insert().from_select(
            list(rollup_fills.columns),
            select(
                completions.c.organization_id,
                func.max(created_at) + 1,
                func.max(created_at) + 1,
                func.min(created_at),
            )
            .where(completions.c.organization_id == organization_id)
            .group_by(completions.c.organization_id),
        )
    )
    forget_fills(connection)
    database_of(connection).note_change(connection)


def _retrieve_progress(connection: Connection, *, organization_id: str) -> RollupProgress | None:
    row = connection.execute(
        select(rollup_fills).where(rollup_fills.c.organization_id == organization_id)
    ).first()
    if row is None:
        return None
    whole = max(1, row.begun_at - row.oldest_at)
    return RollupProgress(until_at=row.until_at, share=(row.begun_at - row.until_at) / whole)


def _hour_of(at: int) -> int:
    """The beginning of the hour that a time is in."""
    return at - at % SPAN_US["hour"]


def _this_hour() -> int:
    return current_time_us() // SPAN_US["hour"]


_HOUR = operator.itemgetter(1)
_FILLS = "rollup fills"
_MINUTE_US = SPAN_US["minute"]
_COUNTED = [
    completions.c[name]
    for name in (
        *("id", "organization_id", "created_at", "status", "source", "provider", "model"),
        *("response_model", "failure_kind", "cost_usd", "prompt_tokens", "completion_tokens"),
        *("cached_tokens", "reasoning_tokens", "duration_ms", "first_token_ms"),
        *("p_mean", "p_least"),
    )
]
_NOTHING = Tally()
_TALLIES = msgspec.json.Decoder(Tally)
_ENDED = msgspec.json.Decoder(Ended)
_ENCODER = msgspec.json.Encoder()


def _list_fills(connection: Connection) -> dict[str, int]:
    """What is not counted yet. It is remembered, because every answer needs it."""
    remembered = database_of(connection).remembered
    fills: dict[str, int] | None = remembered.get(_FILLS)
    if fills is None:
        statement = select(rollup_fills.c.organization_id, rollup_fills.c.until_at)
        fills = remembered[_FILLS] = {row[0]: row[1] for row in connection.execute(statement)}
    return fills


def _count(tallies: dict[_Place, Tally], completion: Completion, *, sign: int) -> None:
    place = _find_place(completion)
    if (tally := tallies.get(place)) is None:
        tally = tallies[place] = Tally()
    tally.count(completion, sign=sign)


def _find_place(completion: Completion) -> _Place:
    created_at = completion.created_at
    minute = created_at - created_at % _MINUTE_US
    return completion.organization_id, minute, *find_key(completion)


def _write_changes(
    connection: Connection,
    tallies: Mapping[_Place, Tally],
    spent: Mapping[_Place, Costs] = {},
) -> None:
    changes: list[tuple[str | int | None, ...]] = [
        (place[0], create_id(), *place[1:], _encode(tally), None)
        for place, tally in tallies.items()
        if tally and place not in spent
    ]
    changes += [
        (place[0], create_id(), *place[1:], _encode(tallies.get(place, _NOTHING)), it.encode())
        for place, it in spent.items()
    ]
    if changes:
        database_of(connection).insert_missing(connection, rollup_changes, changes)


def _write_rollup(connection: Connection, key: _Key, change: Tally) -> None:
    this = [column == value for column, value in zip(rollups.primary_key, key, strict=True)]
    before = connection.scalar(select(rollups.c.tally).where(*this))
    if before is None:
        names = [column.name for column in rollups.primary_key]
        values = dict(zip(names, key, strict=True)) | {"tally": _encode(change)}
        connection.execute(rollups.insert().values(values))
        return
    tally = _decode(before)
    tally.add(change)
    if tally:
        connection.execute(update(rollups).where(*this).values(tally=_encode(tally)))
    else:
        connection.execute(delete(rollups).where(*this))


def _encode(tally: Tally) -> str:
    return _ENCODER.encode(tally).decode()


def _decode(text: str) -> Tally:
    return _TALLIES.decode(text)
