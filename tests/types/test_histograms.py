"""Histograms: sums of them give percentiles, at most 3 % away."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from briggs.types.histograms import Histogram, add, add_one, bucket_end, find_bucket, percentiles

values = st.floats(1e-6, 1e9)


def create(of: list[float], sign: int = 1) -> Histogram:
    histogram: Histogram = {}
    for each in of:
        add_one(histogram, find_bucket(each), sign)
    return histogram


@given(st.lists(values, min_size=1), st.floats(0, 1))
def test_percentiles_are_at_most_3_percent_away(some: list[float], share: float) -> None:
    """By nearest rank, within 3 % of the true value."""
    [found] = percentiles(create(some), [share])
    true = sorted(some)[max(1, math.ceil(share * len(some))) - 1]
    assert found is not None and abs(found / true - 1) < 0.03


@given(st.lists(values), st.lists(values))
def test_sums_lose_nothing(some: list[float], others: list[float]) -> None:
    """Adding gives the histogram of all values, and taking away gives back the first."""
    total = create(some)
    add(total, create(others))
    assert total == create(some + others)
    add(total, create(others, -1))
    assert total == create(some)


@given(values)
def test_a_value_is_below_the_end_of_its_bucket(value: float) -> None:
    """Buckets are next to each other."""
    bucket = find_bucket(value)
    assert bucket_end(bucket - 1) * (1 - 1e-9) <= value < bucket_end(bucket) * (1 + 1e-9)


def test_no_values() -> None:
    """Without values, every percentile is unknown."""
    assert percentiles({}, [0.5, 0.95]) == [None, None]
