"""Intervals of any statistic by the bootstrap (BCa), and the quantiles that intervals need.

Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 14. Units are resampled as
a whole, so a unit may be a cluster: all that is known of one completion, or of one session.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from operator import itemgetter
from statistics import NormalDist, stdev
from typing import Literal, NamedTuple

import msgspec

RESAMPLES = 1_000
LEVEL = 0.95
UNITS_MIN = 3
"""With fewer units there is no interval."""
_LEFT_OUT_MAX = 200
"""How many parts of the units are left out in turn to measure the skew."""

SumRow = Sequence[float]
"""What one unit adds to the sums that a statistic is computed from."""
Statistic = Callable[[Sequence[float]], float | None]
_NORMAL = NormalDist()
_FREEDOM_MAX = 2_000
"""Above it, the normal distribution is used. It differs by less than 0.1 %."""


IntervalForm = Literal["skewed", "bounded", "symmetric"]
"""`bounded`: of what lies between -1 and 1, as a correlation does; the interval is symmetric on
Fisher's scale, which holds for far fewer units. `symmetric`: of a difference of two of these; by
its standard error. `skewed`: of anything else; by BCa."""


class Interval(msgspec.Struct, frozen=True):
    """The ends of an interval, in the unit of what it is about."""

    low: float
    high: float

    @property
    def half_width(self) -> float:
        """Half the distance between the ends."""
        return (self.high - self.low) / 2


class Resampled(NamedTuple):
    """A statistic of some units: a row for each, and what is made of the sums of the rows.

    So a mean has the rows `(value, 1)`.
    """

    rows: Sequence[SumRow]
    statistic: Statistic
    form: IntervalForm = "skewed"
    unseen: Sequence[SumRow] = ()
    """Units of kinds that few units may not have shown. Each takes part in the resamples, once on
    average, so that the interval is not too narrow. What is measured has none of them."""
    widening: float = 1.0
    """How many times as wide the interval is as the resamples say."""


def bootstrap(
    rows: Sequence[SumRow],
    statistic: Statistic,
    *,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval | None:
    """The interval of a statistic of some units: see `bootstrap_all`."""
    asked = [Resampled(rows, statistic)]
    return bootstrap_all(asked, level=level, resamples=resamples, seed=seed)[0]


def bootstrap_all(
    asked: Sequence[Resampled],
    *,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> list[Interval | None]:
    """The intervals of several statistics of the same units, which are resampled together.

    An interval is None if its statistic has no value for the units themselves or for most
    resamples, or if there are fewer than `UNITS_MIN` units.
    """
    if not asked:
        return []
    count = len(asked[0].rows)
    assert all(len(each.rows) == count for each in asked), "a row for each unit"
    if count < UNITS_MIN:
        return [None] * len(asked)
    columns = [list(zip(*each.rows, strict=True)) for each in asked]
    found: list[list[float]] = [[] for _ in asked]
    # A predictable sequence is wanted: the same units always have the same interval.
    draw, seldom = random.Random(seed), random.Random(seed)  # noqa: S311
    for _ in range(resamples):
        # Picking and summing whole columns takes a tenth of the time of walking the rows.
        pick = itemgetter(*draw.choices(range(count), k=count))
        for each, ours, values in zip(asked, columns, found, strict=True):
            sums = [sum(pick(column)) for column in ours]
            for row in each.unseen:
                times = _count_once(seldom)
                sums = [one + times * more for one, more in zip(sums, row, strict=True)]
            value = each.statistic(sums)
            if value is not None:
                values.append(value)
    # Resamples vary a little less than samples do. Hesterberg, "What Teachers Should Know About
    # the Bootstrap" (2015), 5.3.
    reach = find_t((1 + level) / 2, freedom=count - 1) * math.sqrt(count / (count - 1))
    return [
        _find_interval(each, ours, sorted(values), reach * each.widening)
        if len(values) >= resamples / 2
        else None
        for each, ours, values in zip(asked, columns, found, strict=True)
    ]


def _find_interval(
    asked: Resampled, columns: Sequence[Sequence[float]], found: Sequence[float], reach: float
) -> Interval | None:
    """The interval from the sorted values of the resamples, and how many errors wide it is."""
    center = asked.statistic([sum(column) for column in columns])
    if center is None:
        return None
    if found[0] == found[-1]:
        return Interval(found[0], found[-1])
    if asked.form == "symmetric":
        half = reach * stdev(found)
        return Interval(center - half, center + half)
    if asked.form == "bounded":
        half = reach * stdev(map(_stretch, found))
        middle = _stretch(center)
        return Interval(math.tanh(middle - half), math.tanh(middle + half))
    below = sum(value < center for value in found) + sum(value == center for value in found) / 2
    bias = _NORMAL.inv_cdf(min(max(below / len(found), 1 / len(found)), 1 - 1 / len(found)))
    skew = _measure_skew(columns, asked.statistic)
    low, high = (_shift(z, bias=bias, skew=skew) for z in (-reach, reach))
    return Interval(find_quantile(found, low), find_quantile(found, high))


def _count_once(draw: random.Random) -> int:
    """How often one of many units is drawn: Poisson's distribution of the mean 1."""
    count, chance = 0, draw.random()
    while chance > math.exp(-1):
        chance *= draw.random()
        count += 1
    return count


def _stretch(value: float) -> float:
    """Fisher's transformation. Its ends are a little inside, so that they are finite."""
    return math.atanh(min(max(value, -0.999), 0.999))


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


def _shift(z: float, *, bias: float, skew: float) -> float:
    """The share of the resamples at which an end of the interval lies."""
    stretch = 1 - skew * (bias + z)
    return _NORMAL.cdf(bias + (bias + z) / stretch) if stretch > 0 else _NORMAL.cdf(z)


def _measure_skew(columns: Sequence[Sequence[float]], statistic: Statistic) -> float:
    """The acceleration: how the statistic changes when parts of the units are left out."""
    parts = min(len(columns[0]), _LEFT_OUT_MAX)
    totals = [sum(column) for column in columns]
    values = []
    for part in range(parts):
        left = [
            total - sum(column[part::parts]) for total, column in zip(totals, columns, strict=True)
        ]
        value = statistic(left)
        if value is not None:
            values.append(value)
    if not values:
        return 0.0
    mean = math.fsum(values) / len(values)
    squares = math.fsum((mean - value) ** 2 for value in values)
    cubes = math.fsum((mean - value) ** 3 for value in values)
    return cubes / (6 * squares**1.5) if squares > 0 else 0.0
