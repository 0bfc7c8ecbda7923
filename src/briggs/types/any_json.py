"""Reads JSON of any shape. A value of the wrong type counts as missing."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

Members = dict[str, Any]


def members(value: Any) -> Members:
    """The members of an object. Empty for any other value."""
    return value if isinstance(value, dict) else {}


def objects(value: Any, path: str) -> Iterator[tuple[str, Members]]:
    """The objects of a list, with their paths. Other items and values are skipped."""
    for place, item in enumerate(value if isinstance(value, list) else ()):
        if isinstance(item, dict):
            yield f"{path}[{place}]", item


def list_objects(values: Any) -> list[dict[str, Any]]:
    """The objects of a list. Other items and values are skipped."""
    values = values if isinstance(values, list) else []
    return [value for value in values if isinstance(value, dict)]


def integer(value: Any) -> int | None:
    """A whole number. None for anything else, including `true` and `1.0`."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def number(value: Any) -> float | None:
    """A finite number. None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return value if math.isfinite(value) else None
    except OverflowError:
        # An integer too large for a float. No real count is that large.
        return None


def text(value: Any) -> str | None:
    """A non-empty string. None for anything else."""
    return value if isinstance(value, str) and value else None
