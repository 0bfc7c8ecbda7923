"""Intervals of any statistic by the bootstrap (BCa), and the quantiles that intervals need.

Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 14. Units are resampled as
a whole, so a unit may be a cluster: all that is known of one completion, or of one session.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from statistics import NormalDist
from typing import TypeVar

import msgspec

RESAMPLES = 1_000
LEVEL = 0.95
UNITS_MIN = 3
"""With fewer units there is no interval."""
_LEFT_OUT_MAX = 200
"""How many parts of the units are left out in turn to measure the skew."""

Unit = TypeVar("Unit", bound=Hashable)
_NORMAL = NormalDist()
_FREEDOM_MAX = 2_000
"""Above it, the normal distribution is used. It differs by less than 0.1 %."""


class Interval(msgspec.Struct, frozen=True):
    """The ends of an interval, in the unit of what it is about."""

    low: float
    high: float

    @property
    def half_width(self) -> float:
        """Half the distance between the ends."""
        return (self.high - self.low) / 2


def bootstrap(
    units: Sequence[Unit],
    statistic: Callable[[Mapping[Unit, int]], float | None],
    *,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval | None:
    """The interval of a statistic of some units.

    `statistic` gets the distinct units, and how often each came. None if it has no value for the
    units themselves or for most resamples, or if there are fewer than `UNITS_MIN` units.
    """
    counted = Counter(units)
    center = statistic(counted)
    if center is None or len(units) < UNITS_MIN:
        return None
    # A predictable sequence is wanted: the same units always have the same interval.
    draw = random.Random(seed)  # noqa: S311
    found = sorted(
        value
        for _ in range(resamples)
        if (value := statistic(Counter(draw.choices(units, k=len(units))))) is not None
    )
    if len(found) < resamples / 2:
        return None
    if found[0] == found[-1]:
        return Interval(found[0], found[-1])
    below = sum(value < center for value in found) + sum(value == center for value in found) / 2
    bias = _NORMAL.inv_cdf(min(max(below / len(found), 1 / len(found)), 1 - 1 / len(found)))
    skew = _measure_skew(units, counted, statistic)
    low, high = (
        _shift(share, bias=bias, skew=skew) for share in ((1 - level) / 2, (1 + level) / 2)
    )
    return Interval(find_quantile(found, low), find_quantile(found, high))


def find_quantile(ascending: Sequence[float], share: float) -> float:
    """A quantile of sorted numbers, between two of them if it falls there (Hyndman and Fan's 7)."""
    place = share * (len(ascending) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ascending) - 1)
    return ascending[below] + (place - below) * (ascending[above] - ascending[below])


def find_t(share: float, *, freedom: int) -> float:
    """A quantile of Student's t distribution, by halving.

    The chances are the finite sums of Abramowitz and Stegun (1964), 26.7.3 and 26.7.4.
    """
    if not 0 < share < 1 or freedom < 1:
        raise ValueError("a share between 0 and 1, and at least 1 degree of freedom")
    if freedom > _FREEDOM_MAX:
        return _NORMAL.inv_cdf(share)
    within = abs(2 * share - 1)
    low, high = 0.0, 1.0
    while _chance_within(high, freedom) < within:
        low, high = high, high * 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _chance_within(middle, freedom) < within else (low, middle)
    return math.copysign(high if within else 0.0, share - 0.5)


def _chance_within(t: float, freedom: int) -> float:
    """The chance of a value between -t and t."""
    angle = math.atan(t / math.sqrt(freedom))
    square = math.cos(angle) ** 2
    is_odd = freedom % 2
    term = math.cos(angle) if is_odd else 1.0
    total = term if freedom > 1 else 0.0
    for each in range(2 + is_odd, freedom - 1, 2):
        term *= square * (each - 1) / each
        total += term
    chance = math.sin(angle) * total
    return 2 / math.pi * (angle + chance) if is_odd else chance


def _shift(share: float, *, bias: float, skew: float) -> float:
    """The share of the resamples at which an end of the interval lies."""
    z = bias + _NORMAL.inv_cdf(share)
    stretch = 1 - skew * z
    return _NORMAL.cdf(bias + z / stretch) if stretch > 0 else share


def _measure_skew(
    units: Sequence[Unit],
    counted: Mapping[Unit, int],
    statistic: Callable[[Mapping[Unit, int]], float | None],
) -> float:
    """The acceleration: how the statistic changes when parts of the units are left out."""
    parts = min(len(units), _LEFT_OUT_MAX)
    values = []
    for part in range(parts):
        left = Counter(counted)
        left.subtract(units[part::parts])
        value = statistic(+left)
        if value is not None:
            values.append(value)
    if not values:
        return 0.0
    mean = math.fsum(values) / len(values)
    squares = math.fsum((mean - value) ** 2 for value in values)
    cubes = math.fsum((mean - value) ** 3 for value in values)
    return cubes / (6 * squares**1.5) if squares > 0 else 0.0
