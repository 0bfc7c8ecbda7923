"""Means of clusters and paired differences, beside published figures and repeated draws."""

from __future__ import annotations

import math
import random
from fractions import Fraction

import pytest

from briggs.estimates.pairs import (
    compare_pairs,
    find_smallest,
    mcnemar,
    mean_of_clusters,
    newcombe,
    wilson,
)


@pytest.mark.parametrize(
    ("worse", "better", "p"),
    [(0, 0, 1.0), (1, 9, 22 / 1024), (5, 5, 1.0), (0, 6, 2 / 64), (2, 12, 0.01294)],
)
def test_mcnemar(worse: int, better: int, p: float) -> None:
    """The exact test is that of the binomial tables, whichever side is larger."""
    assert mcnemar(worse, better) == pytest.approx(p, rel=1e-3)
    assert mcnemar(better, worse) == mcnemar(worse, better)


def test_mcnemar_of_many() -> None:
    """The sums of logarithms are those of whole numbers, also where floats overflow."""
    worse, better = 940, 1060
    tail = sum(math.comb(worse + better, k) for k in range(worse + 1))
    assert mcnemar(worse, better) == pytest.approx(
        float(Fraction(2 * tail, 2 ** (worse + better))), rel=1e-9
    )


@pytest.mark.parametrize(
    ("successes", "count", "low", "high"),
    # Newcombe, "Two-sided confidence intervals for the single proportion" (1998), table I.
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson(successes: int, count: int, low: float, high: float) -> None:
    """The interval is the published one."""
    found = wilson(successes, count)
    assert (found.low, found.high) == pytest.approx((low, high), abs=6e-5)


def draw(
    rng: random.Random, samples: int, right: float, better: float
) -> list[tuple[float, float]]:
    """Pairs of 0 and 1 that depend on how hard a sample is."""
    pairs = []
    for _ in range(samples):
        is_easy = rng.random() < 0.5
        first = float(rng.random() < (1.0 if is_easy else right))
        second = float(rng.random() < (1.0 if is_easy else right + better))
        pairs.append((first, second))
    return pairs


def test_intervals_of_pairs_cover() -> None:
    """Of 400 draws, the interval has the true difference in 92 to 99 of 100."""
    rng, hits = random.Random(7), 0
    for _ in range(400):
        found = newcombe(draw(rng, 60, 0.4, 0.3))
        assert found is not None
        hits += found.low <= 0.15 <= found.high
    assert 0.92 <= hits / 400 <= 0.99


def test_intervals_of_clusters_cover() -> None:
    """With four answers a sample that are much alike, the interval still covers the truth."""
    rng, hits = random.Random(11), 0
    for _ in range(200):
        values = []
        for _ in range(60):
            share = rng.betavariate(0.5, 0.5)
            values.append([float(rng.random() < share) for _ in range(4)])
        found = mean_of_clusters(values)
        assert found is not None and found.interval is not None
        hits += found.interval.low <= 0.5 <= found.interval.high
    assert 0.91 <= hits / 200 <= 0.99


def test_the_smallest_difference_is_found_as_often_as_said() -> None:
    """A difference of the size that is named is found in about 8 of 10 runs."""
    rng, found = random.Random(3), 0
    named = find_smallest([b - a for a, b in draw(rng, 4000, 0.4, 0.3)][:100])
    assert named is not None
    # Differences of 0.5 in half of the samples: their sum is the named difference.
    for _ in range(300):
        result = compare_pairs([([a], [b]) for a, b in draw(rng, 100, 0.3, min(2 * named, 0.69))])
        assert result is not None and result.interval is not None
        found += result.interval.low > 0
    assert 0.7 <= found / 300 <= 0.92


@pytest.mark.parametrize(("count", "size"), [(20, 0.6604), (50, 0.4042)])
def test_the_smallest_difference_is_statsmodels(count: int, size: float) -> None:
    """`TTestPower().solve_power` of statsmodels 0.15.0, in units of the spread, to a hundredth."""
    spread = math.sqrt((count - 1) / count)
    found = find_smallest([(-1) ** place * spread for place in range(count)])
    assert found == pytest.approx(size, rel=0.02)


def test_pairs() -> None:
    """A sample without a value on one side does not count, and repeats are averaged first."""
    result = compare_pairs([([0.0, 1.0], [1.0, 1.0]), ([1.0], []), ([0.0], [0.0])])
    assert result is not None
    assert (result.difference, result.samples, result.better, result.worse) == (0.25, 2, 1, 0)
    assert result.interval is None and result.p_value is None and result.smallest is None
    assert compare_pairs([]) is None and mean_of_clusters([[]]) is None


def test_what_was_never_seen_is_not_ruled_out() -> None:
    """If all are right, or none differs, the interval and the smallest difference say how sure."""
    mean = mean_of_clusters([[1.0]] * 20)
    assert mean is not None and mean.interval is not None
    assert (mean.mean, mean.interval.high) == (1.0, 1.0) and 0.8 < mean.interval.low < 0.85
    result = compare_pairs([([1.0], [1.0])] * 20)
    assert result is not None and result.interval is not None and result.smallest is not None
    assert result.interval.low < -0.05 and 0.2 < result.smallest < 0.3


def test_many_samples_are_quick() -> None:
    """For thousands of samples the interval is Student's, next to the bootstrap's."""
    rng = random.Random(5)
    values = [[rng.random()] for _ in range(3_000)]
    many, some = mean_of_clusters(values), mean_of_clusters(values[:2_000])
    assert many is not None and some is not None
    assert many.interval is not None and some.interval is not None
    assert many.interval.half_width == pytest.approx(1.96 * 12**-0.5 / 3_000**0.5, rel=0.05)
    assert some.interval.half_width == pytest.approx(1.96 * 12**-0.5 / 2_000**0.5, rel=0.1)
