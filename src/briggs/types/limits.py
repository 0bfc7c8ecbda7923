"""Limits: what a key, an end user or an organization may use."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import blake2b
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Holder = Literal["key", "user", "organization"]
"""Who has limits. A user is an end user of an organization's program."""

COUNT_MAX = 1_000_000_000_000
DOLLARS_MAX = 1_000_000_000
NANO = 1_000_000_000
"""Dollars are counted in units of 1e-9, as integers, so that sums are exact."""

DAY_US = 86_400_000_000

_Count = Annotated[int, Meta(gt=0, le=COUNT_MAX)]
_Dollars = Annotated[float, Meta(ge=0, le=DOLLARS_MAX)]


class Limits(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """What one holder may use. None is no limit of its own."""

    requests_per_minute: _Count | None = None
    tokens_per_minute: _Count | None = None
    calls_in_flight: _Count | None = None
    dollars_per_day: _Dollars | None = None
    """A day begins at midnight, UTC."""
    dollars_per_month: _Dollars | None = None

    def override(self, others: Limits | None) -> Limits:
        """These limits, and those of `others` where these have none."""
        if others is None:
            return self
        own = {name: it for name in NAMES if (it := getattr(self, name)) is not None}
        return msgspec.structs.replace(others, **own)

    def __bool__(self) -> bool:
        return self != _NONE


class Use(msgspec.Struct, kw_only=True):
    """What one holder may use and has used."""

    limits: Limits = msgspec.field(default_factory=Limits)
    """Those that apply: its own, and those of the file."""
    requests: int = 0
    """In the last minute, if they are limited. So are the next two."""
    tokens: int = 0
    calls_in_flight: int = 0
    dollars_today: float = 0.0
    dollars_this_month: float = 0.0


NAMES = Limits.__struct_fields__
USED: Mapping[str, str] = {
    "requests_per_minute": "requests",
    "tokens_per_minute": "tokens",
    "calls_in_flight": "calls_in_flight",
    "dollars_per_day": "dollars_today",
    "dollars_per_month": "dollars_this_month",
}
"""The member of `Use` with what counts against each limit."""
_NONE = Limits()


def mark_user(user: str) -> str:
    """The mark of an end user in sums, which tells nothing about the user."""
    digest = blake2b(user.encode("utf-8", "surrogatepass"), digest_size=15).digest()
    return urlsafe_b64encode(digest).decode()


def list_days(at: int) -> Sequence[int]:
    """The days of the month of a time, up to the day of it. All are Unix times in microseconds.

    A day is the time of its beginning, UTC.
    """
    day = at - at % DAY_US
    return range(find_month(day), day + 1, DAY_US)


@lru_cache(maxsize=64)
def find_month(day: int) -> int:
    """The beginning of the month of a day."""
    return day - (_read_day(day).day - 1) * DAY_US


@lru_cache(maxsize=64)
def find_next_month(day: int) -> int:
    """The end of the month of a day."""
    date = _read_day(day)
    first = datetime(date.year + date.month // 12, date.month % 12 + 1, 1, tzinfo=UTC)
    return int(first.timestamp()) * 1_000_000


def _read_day(day: int) -> datetime:
    return datetime.fromtimestamp(day // 1_000_000, UTC)
