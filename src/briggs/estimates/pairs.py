"""Means of samples that were asked several times, and paired differences between two targets.

Miller, "Adding Error Bars to Evals" (2024), for clusters and pairs; Wilson (1927); McNemar (1947),
with exact probabilities; Newcombe, "Improved confidence intervals for the difference between
binomial proportions based on paired data" (1998), method 10; Cohen, "Statistical Power Analysis"
(1988), for what can be found.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import msgspec

from briggs.estimates.intervals import LEVEL, UNITS_MIN, Interval, bootstrap, find_t

BOOTSTRAP_MAX = 2_000
"""With more clusters the interval is that of Student's t, from which it hardly differs."""
POWER = 0.8
_NORMAL = NormalDist()

Cluster = tuple[float, int]
"""The sum of the values of one sample, and how many there are."""


class ClusteredMean(msgspec.Struct, frozen=True):
    """The mean of all values, and its interval if samples are drawn anew."""

    mean: float
    interval: Interval | None
    """None if there are too few samples."""
    samples: int


class PairedDifference(msgspec.Struct, frozen=True):
    """How much better the second of two targets is, on the same samples."""

    difference: float
    interval: Interval | None
    samples: int
    better: int
    """Samples on which the second is better."""
    worse: int
    p_value: float | None
    """McNemar's exact test, of values that are all 0 or 1. None for others."""
    smallest: float | None
    """The smallest difference that so many samples find with a power of 0.8."""


def mean_of_clusters(values: Sequence[Sequence[float]]) -> ClusteredMean | None:
    """The mean of values from 0 to 1, which are given by sample. None if there are none."""
    clusters = [(math.fsum(each), len(each)) for each in values if each]
    if not clusters:
        return None
    mean = _mean(_add(clusters))
    return ClusteredMean(mean, _find_interval(clusters), len(clusters))


def compare_pairs(
    pairs: Sequence[tuple[Sequence[float], Sequence[float]]],
) -> PairedDifference | None:
    """The mean of the differences between the second and the first values of each sample.

    Samples without a value on one side do not count. None if there is no other.
    """
    means = [
        (math.fsum(first) / len(first), math.fsum(second) / len(second))
        for first, second in pairs
        if first and second
    ]
    if not means:
        return None
    differences = [second - first for first, second in means]
    better = sum(each > 0 for each in differences)
    worse = sum(each < 0 for each in differences)
    is_binary = all(value in (0.0, 1.0) for pair in means for value in pair)
    return PairedDifference(
        difference=math.fsum(differences) / len(differences),
        interval=newcombe(means) if is_binary else _find_difference(differences),
        samples=len(differences),
        better=better,
        worse=worse,
        p_value=mcnemar(worse, better) if is_binary else None,
        smallest=find_smallest(differences),
    )


def mcnemar(worse: int, better: int) -> float:
    """The chance of so uneven a split, or a more uneven one, if neither is better. Two-sided."""
    changed = worse + better
    if not changed:
        return 1.0
    few = min(worse, better)
    # By logarithms, since the numbers are too large for floats.
    whole = changed * math.log(2)
    tail = math.fsum(math.exp(_log_choose(changed, k) - whole) for k in range(few + 1))
    return min(1.0, 2 * tail)


def find_smallest(
    differences: Sequence[float], *, level: float = LEVEL, power: float = POWER
) -> float | None:
    """The smallest mean difference that as many samples find with this power. None for too few.

    If hardly any sample differs, the spread is taken to be what may have been missed by chance.
    """
    count = len(differences)
    if count < UNITS_MIN:
        return None
    mean = math.fsum(differences) / count
    spread = math.sqrt(math.fsum((each - mean) ** 2 for each in differences) / (count - 1))
    # Of 3 / n pairs that differ by 1, none is seen with a chance of 5 % (the rule of three).
    spread = max(spread, math.sqrt(min(1.0, 3 / count)))
    quantiles = find_t((1 + level) / 2, freedom=count - 1) + _NORMAL.inv_cdf(power)
    return quantiles * spread / math.sqrt(count)


def wilson(successes: float, count: float, *, level: float = LEVEL) -> Interval:
    """The interval of a share of successes."""
    z = _NORMAL.inv_cdf((1 + level) / 2)
    share = successes / count
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count**2)) / (1 + z * z / count)
    return Interval(max(0.0, middle - half), min(1.0, middle + half))


def newcombe(pairs: Sequence[tuple[float, float]], *, level: float = LEVEL) -> Interval | None:
    """The interval of the difference between the second and the first share of pairs of 0 and 1."""
    count = len(pairs)
    if count < UNITS_MIN:
        return None
    both = math.fsum(first * second for first, second in pairs)
    ones, others = math.fsum(first for first, _ in pairs), math.fsum(second for _, second in pairs)
    only, only_other = ones - both, others - both
    neither = count - both - only - only_other
    first, second = ones / count, others / count
    at, beside = wilson(others, count, level=level), wilson(ones, count, level=level)
    product = both * neither - only * only_other
    if product > 0:
        product = max(product - count / 2, 0.0)
    margins = ones * (count - ones) * others * (count - others)
    bound = product / math.sqrt(margins) if margins else 0.0

    def half(one: float, other: float) -> float:
        return math.sqrt(max(one * one - 2 * bound * one * other + other * other, 0.0))

    difference = second - first
    return Interval(
        max(-1.0, difference - half(second - at.low, beside.high - first)),
        min(1.0, difference + half(at.high - second, first - beside.low)),
    )


def _find_interval(clusters: Sequence[Cluster]) -> Interval | None:
    if len(clusters) < UNITS_MIN:
        return None
    means = [total / count for total, count in clusters]
    if all(mean in (0.0, 1.0) for mean in means):
        # Samples that are all right or all wrong: the bootstrap cannot know what it did not see.
        return wilson(math.fsum(means), len(means))
    if len(clusters) > BOOTSTRAP_MAX:
        return _find_student(means)
    return bootstrap(clusters, _mean)


def _find_difference(differences: Sequence[float]) -> Interval | None:
    if len(differences) < UNITS_MIN:
        return None
    if len(differences) > BOOTSTRAP_MAX:
        return _find_student(differences)
    return bootstrap([(each, 1) for each in differences], _mean)


def _find_student(values: Sequence[float]) -> Interval:
    count = len(values)
    mean = math.fsum(values) / count
    variance = math.fsum((each - mean) ** 2 for each in values) / (count - 1)
    half = find_t((1 + LEVEL) / 2, freedom=count - 1) * math.sqrt(variance / count)
    return Interval(mean - half, mean + half)


def _mean(sums: Sequence[float]) -> float:
    total, count = sums
    return total / count


def _add(clusters: Sequence[Cluster]) -> Cluster:
    return math.fsum(total for total, _ in clusters), sum(count for _, count in clusters)


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
