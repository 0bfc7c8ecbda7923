"""Intervals, against figures of scipy 1.17.1."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping

import pytest

from briggs.estimates.agreement import alpha_between, alpha_of, krippendorffs_alpha
from briggs.estimates.intervals import bootstrap, find_quantile, find_t


@pytest.mark.parametrize(
    ("freedom", "share", "t"),
    [
        (1, 0.975, 12.706205),
        (2, 0.975, 4.302653),
        (3, 0.9, 1.637744),
        (3, 0.995, 5.840909),
        (4, 0.975, 2.776445),
        (9, 0.995, 3.249836),
        (30, 0.975, 2.042272),
        (200, 0.9, 1.285799),
    ],
)
def test_quantiles_of_t_are_scipys(freedom: int, share: float, t: float) -> None:
    """To four digits, on both sides."""
    assert find_t(share, freedom=freedom) == pytest.approx(t, rel=2e-4)
    assert find_t(1 - share, freedom=freedom) == pytest.approx(-t, rel=2e-4)
    assert find_t(0.5, freedom=freedom) == 0


def mean(counted: Mapping[float, int]) -> float:
    return sum(value * times for value, times in counted.items()) / sum(counted.values())


def test_the_interval_of_a_skewed_mean_is_scipys() -> None:
    """`scipy.stats.bootstrap(method="BCa")` has 0.928 to 0.934, and 1.606 to 1.618, by seed."""
    draw = random.Random(5)
    values = [round(draw.expovariate(1), 3) for _ in range(40)]
    found = bootstrap(values, mean, resamples=20_000)
    assert found is not None
    assert (found.low, found.high) == pytest.approx((0.930, 1.612), abs=0.008)


def test_an_interval_is_the_same_every_time() -> None:
    """The same units have the same interval, and too few have none."""
    values = [1.0, 2.0, 2.0, 5.0, 7.0]
    assert bootstrap(values, mean, resamples=50) == bootstrap(values, mean, resamples=50)
    assert bootstrap(values[:2], mean) is None
    assert bootstrap(values, lambda _: None) is None
    same = bootstrap([3.0] * 5, mean)
    assert same is not None and (same.low, same.high) == (3.0, 3.0)


def test_quantiles_lie_between_two_numbers() -> None:
    """As numpy's default does."""
    assert [find_quantile([1, 2, 4], share) for share in (0, 0.25, 0.5, 1)] == [1, 1.5, 2, 4]


def test_alpha_counts_equal_completions() -> None:
    """Counted units have the alpha of the same units one by one."""
    units = [(1, 1), (1, 2), (3, 3), (3, 3), (2, 2), (1, 3)]
    for level in ("nominal", "ordinal", "interval"):
        one_by_one = krippendorffs_alpha(units, level=level)
        assert alpha_of(Counter(units), level=level) == pytest.approx(one_by_one)


def test_one_reviewer_against_several_is_alpha_of_pairs() -> None:
    """With one other reviewer it is the alpha of the two; with more, the others' do not count."""
    pairs = [(1, 1), (1, 2), (3, 3), (2, 2), (1, 3)]
    units = Counter((one, (other,)) for one, other in pairs)
    alpha = krippendorffs_alpha(pairs, level="interval")
    assert alpha_between(units, level="interval") == pytest.approx(alpha)
    agreeing = Counter([(1, (1, 1)), (2, (2, 2)), (3, (3, 3))])
    assert alpha_between(agreeing, level="nominal") == 1
