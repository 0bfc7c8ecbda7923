"""Differences of means of two independent samples, with Welch's interval (1947)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from briggs.estimates.intervals import LEVEL, Interval, find_t


class MeanDifference(msgspec.Struct, frozen=True):
    """How far the mean of one sample is from that of another."""

    difference: float
    """The second less the first."""
    interval: Interval | None
    """None if either has fewer than two values."""


def compare_means(
    before: Sequence[float], now: Sequence[float], *, level: float = LEVEL
) -> MeanDifference | None:
    """The difference of two means. None if either sample is empty."""
    if not before or not now:
        return None
    difference = math.fsum(now) / len(now) - math.fsum(before) / len(before)
    if min(len(before), len(now)) < 2:
        return MeanDifference(difference, None)
    shares = [_find_variance(each) / len(each) for each in (before, now)]
    error = math.sqrt(sum(shares))
    if error == 0:
        return MeanDifference(difference, Interval(difference, difference))
    # Welch's and Satterthwaite's degrees of freedom, rounded down, which is wider.
    freedom = error**4 / (shares[0] ** 2 / (len(before) - 1) + shares[1] ** 2 / (len(now) - 1))
    half = find_t((1 + level) / 2, freedom=max(1, math.floor(freedom))) * error
    return MeanDifference(difference, Interval(difference - half, difference + half))


def _find_variance(values: Sequence[float]) -> float:
    mean = math.fsum(values) / len(values)
    return math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)
