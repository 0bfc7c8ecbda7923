"""Reads and writes times, as ISO 8601 or as Unix seconds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from briggs.types.errors import InvalidRequest

SECONDS_MAX = 10**12
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def iso(microseconds: int) -> str:
    """An ISO 8601 time with all six decimals, since Python 3.10 reads no other form."""
    return (_EPOCH + timedelta(microseconds=microseconds)).isoformat(timespec="microseconds")


def to_microseconds(moment: datetime) -> int:
    """Unix time in microseconds. A time without a zone counts as UTC."""
    return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH) // timedelta(
        microseconds=1
    )


def read_moment(given: str | float | None, *, name: str) -> int | None:
    """Read an ISO 8601 time or Unix seconds, as microseconds. Raises `InvalidRequest`."""
    if given is None:
        return None
    try:
        if isinstance(given, str):
            moment = datetime.fromisoformat(given)
            given = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        if abs(given) > SECONDS_MAX:
            raise ValueError("out of range")
        return round(given * 1_000_000)
    except (ValueError, OverflowError):
        raise InvalidRequest(
            f"'{name}' must be a time such as 2026-11-23T14:00:00Z, or Unix seconds.", param=name
        ) from None
