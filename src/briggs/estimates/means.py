"""Differences of means of two independent samples, with Welch's interval (1947).

A difference of shares has the interval of Newcombe, "Interval estimation for the difference between
independent proportions" (1998), his tenth, which is made of Wilson's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from briggs.estimates.intervals import LEVEL, Interval, find_t
from briggs.estimates.pairs import wilson


class MeanDifference(msgspec.Struct, frozen=True):
    """How far the mean of one sample is from that of another."""

    difference: float
    """The second less the first."""
    interval: Interval | None
    """None if there are too few values to say."""


def compare_means(
    before: Sequence[float],
    now: Sequence[float],
    *,
    level: float = LEVEL,
    is_share: bool = False,
) -> MeanDifference | None:
    """The difference of two means. None if either sample is empty.

    With `is_share` the values are between 0 and 1, and what was never seen may still be rare.
    """
    if not before or not now:
        return None
    difference = math.fsum(now) / len(now) - math.fsum(before) / len(before)
    if is_share:
        return MeanDifference(difference, _compare_shares(before, now, level=level))
    if min(len(before), len(now)) < 2:
        return MeanDifference(difference, None)
    shares = [_find_variance(each) / len(each) for each in (before, now)]
    error = math.sqrt(sum(shares))
    if error == 0:
        # Two samples that are each all alike come by chance in two of so many orders.
        is_chance = difference and 2 / math.comb(len(before) + len(now), len(now)) > 1 - level
        return MeanDifference(difference, None if is_chance else Interval(difference, difference))
    # Welch's and Satterthwaite's degrees of freedom, rounded down, which is wider.
    freedom = error**4 / (shares[0] ** 2 / (len(before) - 1) + shares[1] ** 2 / (len(now) - 1))
    half = find_t((1 + level) / 2, freedom=max(1, math.floor(freedom))) * error
    return MeanDifference(difference, Interval(difference - half, difference + half))


def _compare_shares(before: Sequence[float], now: Sequence[float], *, level: float) -> Interval:
    shares = [math.fsum(each) / len(each) for each in (before, now)]
    first, second = (wilson(math.fsum(each), len(each), level=level) for each in (before, now))
    difference = shares[1] - shares[0]
    return Interval(
        difference - math.hypot(shares[1] - second.low, first.high - shares[0]),
        difference + math.hypot(second.high - shares[1], shares[0] - first.low),
    )


def _find_variance(values: Sequence[float]) -> float:
    mean = math.fsum(values) / len(values)
    return math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)
