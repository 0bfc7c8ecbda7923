"""Histograms: counts of values in buckets that grow, so that sums of them give percentiles.

Each bucket is 6 % wider than the one before, and stands for its middle. So a percentile is at
most 3 % away from the true one. Histograms are added and subtracted without any loss.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TypeVar

Key = TypeVar("Key", int, str)

Histogram = dict[int, int]
"""How many values are in each bucket that has any."""

GROWTH = 1.06
LEAST = 1e-9
MOST = 1e12
"""Values outside are counted as if they were these."""

_LOG_GROWTH = math.log(GROWTH)


def find_bucket(value: float) -> int:
    """The bucket of a value that is not negative."""
    return math.floor(math.log(min(max(value, LEAST), MOST)) / _LOG_GROWTH)


def bucket_middle(bucket: int) -> float:
    """The value that stands for all values of a bucket."""
    return math.exp((bucket + 0.5) * _LOG_GROWTH)


def bucket_end(bucket: int) -> float:
    """The smallest value above a bucket."""
    return math.exp((bucket + 1) * _LOG_GROWTH)


def add(counts: dict[Key, int], other: Mapping[Key, int]) -> None:
    """Add counts, which may be negative. A count of 0 is left out."""
    for key, count in other.items():
        left = counts.get(key, 0) + count
        if left:
            counts[key] = left
        else:
            counts.pop(key, None)


def add_one(counts: dict[Key, int], key: Key, count: int) -> None:
    """Add to one count."""
    left = counts.get(key, 0) + count
    if left:
        counts[key] = left
    else:
        counts.pop(key, None)


def percentiles(histogram: Histogram, shares: Sequence[float]) -> list[float | None]:
    """The values that these shares (ascending, 0 to 1) of all values do not exceed.

    By nearest rank; None if there are no values.
    """
    count = sum(histogram.values())
    if count <= 0:
        return [None] * len(shares)
    found: list[float | None] = []
    seen = 0
    for bucket in sorted(histogram):
        seen += histogram[bucket]
        while len(found) < len(shares) and seen >= max(1, math.ceil(shares[len(found)] * count)):
            found.append(bucket_middle(bucket))
    return found
