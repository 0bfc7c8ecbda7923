"""What there is in JSON of any shape: what is not of the kind that is asked for is not there."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]


def members(value: Any) -> Json:
    """The members of an object; none of anything else."""
    return value if isinstance(value, dict) else {}


def objects(value: Any, path: str) -> Iterator[tuple[str, Json]]:
    """The objects of a list with their paths; none of anything else."""
    for place, item in enumerate(value if isinstance(value, list) else ()):
        if isinstance(item, dict):
            yield f"{path}[{place}]", item


def integer(value: Any) -> int | None:
    """A whole number; None for anything else, true and 1.0 included."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def number(value: Any) -> float | None:
    """A finite number; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return value if math.isfinite(value) else None
    except OverflowError:
        # A whole number beyond every float is finite, but no number that anything here counts.
        return None


def text(value: Any) -> str | None:
    """A text that says something; None for anything else."""
    return value if isinstance(value, str) and value else None
