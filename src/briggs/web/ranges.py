"""Ranges of time: what an address asks for, cut into slots of a minute, an hour or days."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

from briggs.types.errors import InvalidRequest
from briggs.types.rollups import SPAN_US, Span
from briggs.web.addresses import join_query

Step = Literal["minute", "hour", "day"]

MINUTE_US, HOUR_US = SPAN_US["minute"], SPAN_US["hour"]
DAY_US = 24 * HOUR_US
PRESETS = {"1h": HOUR_US, "24h": DAY_US, "7d": 7 * DAY_US, "30d": 30 * DAY_US}
DEFAULT = "24h"
MINUTES_FOR_US = 3 * HOUR_US
"""Minutes are kept for so long."""

HOURS_MAX = 8 * 24
DAYS_MAX = 92
"""A longer range has slots of several days."""

RANGE_MAX_US = 3_700 * DAY_US
ZONE_COOKIE = "zone"
_ZONE_LENGTH_MAX = 64


class Range(NamedTuple):
    """A range of time, in slots."""

    name: str
    """The preset, or empty for a custom range."""
    by: Step
    edges: tuple[int, ...]
    """The beginning of each slot, and the end of the last, in Unix microseconds."""
    zone: tzinfo
    """The zone of the viewer, in which days begin."""
    choices: tuple[Step, ...]
    """What `by` may be for a range of this length."""
    now: int

    @property
    def begin(self) -> int:
        return self.edges[0]

    @property
    def end(self) -> int:
        return self.edges[-1]

    @property
    def span(self) -> Span:
        """The rollups that the slots are made of."""
        return "minute" if self.by == "minute" else "hour"

    @property
    def is_live(self) -> bool:
        """Whether calls may still come into it."""
        return self.end > self.now

    @property
    def before(self) -> tuple[int, int]:
        """The range of the same length before this one."""
        return 2 * self.begin - self.end, self.begin

    def find_slot(self, at: int) -> int:
        """The slot that a time is in. The time must be in the range."""
        low, high = 0, len(self.edges) - 1
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.edges[middle] <= at else (low, middle)
        return low

    def address(self, **changes: str) -> str:
        """The parameters that lead back to this range, with changes."""
        if self.name:
            given = {} if self.name == DEFAULT else {"range": self.name}
        else:
            given = {"from": write_time(self.begin), "to": write_time(self.end)}
        if self.by != self.choices[0]:
            given["by"] = self.by
        return join_query(given | changes)

    def is_midnight(self, at: int) -> bool:
        """Whether a day of the viewer begins."""
        local = datetime.fromtimestamp(at / 1e6, self.zone)
        return (local.hour, local.minute) == (0, 0)

    def write_label(self, at: int) -> str:
        """A slot's beginning as an axis shows it."""
        local = datetime.fromtimestamp(at / 1e6, self.zone)
        if self.by == "day" or self.is_midnight(at):
            return f"{local.day} {local:%b}"
        return f"{local:%H:%M}"


def read_range(parameters: Mapping[str, str], *, now: int, zone: tzinfo) -> Range:
    """Read the range that an address asks for. Raises `InvalidRequest`."""
    name = parameters.get("range", DEFAULT)
    if "from" in parameters or "to" in parameters:
        name = ""
        begin, end = _read_custom(parameters, now=now)
    elif name not in PRESETS:
        raise InvalidRequest(f"range: choose one of {', '.join(PRESETS)}.", param="range")
    else:
        # The present slot belongs to it, even in the first moment of that slot.
        end = now + 1
        begin = end - PRESETS[name]
    choices = _list_choices(begin, end, now=now)
    wanted = parameters.get("by", "")
    by = next((each for each in choices if each == wanted), choices[0])
    return Range(name, by, _cut(begin, end, by=by, zone=zone, preset=name), zone, choices, now)


def read_zone(cookies: Mapping[str, str]) -> tzinfo:
    """The viewer's zone, which the browser says in a cookie. UTC without one."""
    name = cookies.get(ZONE_COOKIE, "")
    if not name or len(name) > _ZONE_LENGTH_MAX:
        return UTC
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        return UTC


def write_time(at: int) -> str:
    """A time as addresses and filters write it, such as 2026-11-29T09:00Z."""
    moment = datetime.fromtimestamp(at / 1e6, UTC)
    return moment.strftime("%Y-%m-%dT%H:%MZ" if not moment.second else "%Y-%m-%dT%H:%M:%SZ")


def _read_custom(parameters: Mapping[str, str], *, now: int) -> tuple[int, int]:
    begin = _read_time(parameters, "from", default=now - DAY_US)
    end = _read_time(parameters, "to", default=now)
    if begin >= end:
        raise InvalidRequest("from: the range must begin before it ends.", param="from")
    if end - begin > RANGE_MAX_US:
        raise InvalidRequest("from: choose a range of at most ten years.", param="from")
    return begin, end


def _read_time(parameters: Mapping[str, str], name: str, *, default: int) -> int:
    text = parameters.get(name, "")
    if not text:
        return default
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidRequest(
            f"{name}: write a time such as 2026-11-29T09:00Z.", param=name
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    if not 1970 < moment.year < 9000:
        raise InvalidRequest(f"{name}: this year is too far away.", param=name)
    return round(moment.timestamp() * 1e6)


def _list_choices(begin: int, end: int, *, now: int) -> tuple[Step, ...]:
    """What the slots of a range may be, the best first."""
    length = end - begin
    if length <= MINUTES_FOR_US and begin >= now - MINUTES_FOR_US:
        return ("minute", "hour")
    if length <= HOURS_MAX * HOUR_US:
        return ("hour", "day") if length > DAY_US else ("hour",)
    return ("day",)


def _cut(begin: int, end: int, *, by: Step, zone: tzinfo, preset: str) -> tuple[int, ...]:
    if by == "day":
        return _cut_days(begin, end, zone=zone, preset=preset)
    step = SPAN_US[by]
    last = -(-end // step) * step
    first = last - PRESETS[preset] if preset else begin // step * step
    return tuple(range(first, last + 1, step))


def _cut_days(begin: int, end: int, *, zone: tzinfo, preset: str) -> tuple[int, ...]:
    """Days as the viewer has them, one of which may have 23 or 25 hours."""
    stop = datetime.fromtimestamp((end - 1) / 1e6, zone).date() + timedelta(days=1)
    start = datetime.fromtimestamp(begin / 1e6, zone).date()
    if preset:
        start = stop - timedelta(days=PRESETS[preset] // DAY_US)
    days = (stop - start).days
    width = -(-days // DAYS_MAX)
    midnights = (start + timedelta(days=day) for day in range(0, days + width, width))
    return tuple(
        round(datetime(each.year, each.month, each.day, tzinfo=zone).timestamp() * 1e6)
        // HOUR_US
        * HOUR_US
        for each in midnights
    )
