"""Intervals, against figures of scipy 1.17.1."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import pytest

from briggs.estimates.intervals import Resampled, bootstrap, bootstrap_all, find_quantile, find_t


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


def mean(sums: Sequence[float]) -> float:
    return sums[0] / sums[1]


def list_rows(values: Sequence[float]) -> list[tuple[float, int]]:
    return [(value, 1) for value in values]


def test_the_interval_of_a_skewed_mean_is_scipys() -> None:
    """`scipy.stats.bootstrap(method="BCa")` has 0.931 to 1.612, made 5 % wider for few units."""
    draw = random.Random(5)
    values = [round(draw.expovariate(1), 3) for _ in range(40)]
    found = bootstrap(list_rows(values), mean, resamples=20_000)
    assert found is not None
    assert (found.low, found.high) == pytest.approx((0.918, 1.634), abs=0.01)


def test_an_interval_is_the_same_every_time() -> None:
    """The same units have the same interval, also beside others; too few have none."""
    rows = list_rows([1.0, 2.0, 2.0, 5.0, 7.0])
    alone = bootstrap(rows, mean, resamples=50)
    assert bootstrap_all([Resampled(rows, mean), Resampled(rows, mean)], resamples=50) == [
        alone,
        alone,
    ]
    assert bootstrap(rows[:2], mean) is None
    assert bootstrap(rows, lambda _: None) is None
    assert bootstrap_all([]) == []
    same = bootstrap(list_rows([3.0] * 5), mean)
    assert same is not None and (same.low, same.high) == (3.0, 3.0)


def test_quantiles_lie_between_two_numbers() -> None:
    """As numpy's default does."""
    assert [find_quantile([1, 2, 4], share) for share in (0, 0.25, 0.5, 1)] == [1, 1.5, 2, 4]


def test_a_bounded_statistic_stays_within_its_bounds() -> None:
    """The interval of a correlation near 1 ends before 1."""
    pairs = [(float(x), x + (0.1 if x % 2 else -0.1)) for x in range(8)]
    rows = [(1.0, x, y, x * x, y * y, x * y) for x, y in pairs]

    def correlate(sums: Sequence[float]) -> float | None:
        n, x, y, xx, yy, xy = sums
        spread = (n * xx - x * x) * (n * yy - y * y)
        return (n * xy - x * y) / spread**0.5 if spread > 0 else None

    [found] = bootstrap_all([Resampled(rows, correlate, "bounded")])
    assert found is not None and 0.98 < found.low < found.high < 1


def test_a_bounded_interval_is_widened_on_fishers_scale() -> None:
    """Its middle stays, and half its width is multiplied."""
    rows = list_rows([0.1, 0.3, 0.5, 0.2, 0.6])
    asked = Resampled(rows, mean, "bounded")
    ends = [
        (math.atanh(each.low), math.atanh(each.high))
        for each in bootstrap_all([asked, asked._replace(widening=1.5)])
        if each is not None
    ]
    (low, high), (lower, higher) = ends
    assert lower + higher == pytest.approx(low + high)
    assert higher - lower == pytest.approx(1.5 * (high - low))


def test_a_symmetric_interval_is_of_the_standard_error() -> None:
    """Of a mean it is Student's: scipy 1.17.1 has 1.660 to 3.940 for these six."""
    rows = list_rows([2.1, 3.3, 1.2, 4.4, 2.8, 3.0])
    [found] = bootstrap_all([Resampled(rows, mean, "symmetric")], resamples=5_000)
    assert found is not None
    assert (found.low, found.high) == pytest.approx((1.660, 3.940), abs=0.03)


def test_what_was_not_seen_makes_an_interval_wider() -> None:
    """If all units are equal nothing varies, unless one of another kind may be among them."""
    rows = list_rows([1.0] * 20)
    certain, open_to_more = bootstrap_all(
        [
            Resampled(rows, mean, "symmetric"),
            Resampled(rows, mean, "symmetric", unseen=[(0.0, 1.0)]),
        ]
    )
    assert certain is not None and (certain.low, certain.high) == (1.0, 1.0)
    assert open_to_more is not None and 0.85 < open_to_more.low < 0.95
