"""Reads times, as ISO 8601 or as Unix seconds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from briggs.types.errors import InvalidRequest
from briggs.types.times import EPOCH

SECONDS_MAX = 10**12


def to_microseconds(moment: datetime) -> int:
    """Unix time in microseconds. A time without a zone counts as UTC."""
    return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - EPOCH) // timedelta(
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
