"""Writes times as ISO 8601."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def iso(microseconds: int) -> str:
    """An ISO 8601 time with all six decimals, since Python 3.10 reads no other form."""
    return (EPOCH + timedelta(microseconds=microseconds)).isoformat(timespec="microseconds")
