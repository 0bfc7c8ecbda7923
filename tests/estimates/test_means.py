"""Differences of means and of shares, against published examples."""

from __future__ import annotations

import pytest

from briggs.estimates.means import compare_means

FIRST = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
SECOND = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]


def test_students_sleep() -> None:
    """Student's data of 1908: R's `t.test` has -3.365 to 0.205, with 17.8 degrees of freedom."""
    found = compare_means(SECOND, FIRST)
    assert found is not None and found.interval is not None
    assert found.difference == pytest.approx(-1.58)
    # Of 17 degrees, since they are rounded down: a little wider.
    assert found.interval.low == pytest.approx(-3.3655, abs=0.008)
    assert found.interval.high == pytest.approx(0.2055, abs=0.008)
    assert found.interval.low < -3.3654 and found.interval.high > 0.2055


def test_few_values() -> None:
    """One value has no spread, none has no mean, and a few that are all alike may be chance."""
    assert compare_means([], [1.0]) is None
    found = compare_means([1.0], [2.0, 3.0])
    assert found is not None and (found.difference, found.interval) == (1.5, None)
    for count, is_sure in ((2, False), (3, False), (4, True)):
        alike = compare_means([1.0] * count, [2.0] * count)
        assert alike is not None and (alike.interval is not None) == is_sure
    same = compare_means([1.0, 1.0], [1.0, 1.0])
    assert same is not None and same.interval is not None
    assert (same.interval.low, same.interval.high) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("first", "second", "low", "high"),
    [((56, 70), (48, 80), 0.0524, 0.3339), ((5, 56), (0, 29), -0.0381, 0.1926)],
)
def test_newcombes_examples(
    first: tuple[int, int], second: tuple[int, int], low: float, high: float
) -> None:
    """Examples (a) and (d) of Newcombe (1998), of 95 %."""
    now, before = ([True] * yes + [False] * (of - yes) for yes, of in (first, second))
    found = compare_means(before, now, is_share=True)
    assert found is not None and found.interval is not None
    assert found.interval.low == pytest.approx(low, abs=5e-5)
    assert found.interval.high == pytest.approx(high, abs=5e-5)
