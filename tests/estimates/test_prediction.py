"""Prediction-powered inference: unbiased, and narrower where predictions are good."""

from __future__ import annotations

import random

import pytest

from briggs.estimates.prediction import estimate_mean, estimate_with_predictions


def test_known_values_alone_have_students_interval() -> None:
    """The mean of 1 to 5 is 3, and t with 4 degrees of freedom is 2.776."""
    found = estimate_mean([1, 2, 3, 4, 5])
    assert found is not None and found.interval is not None
    assert (found.mean, found.known, found.predicted) == (3, 5, 0)
    assert found.interval.half_width == pytest.approx(2.776445 * 0.5**0.5, rel=1e-3)
    assert estimate_mean([]) is None
    few = estimate_mean([1, 2])
    assert few is not None and few.interval is None


def test_perfect_predictions_leave_the_spread_of_all() -> None:
    """With what people would say predicted exactly, the mean is that of all values."""
    draw = random.Random(2)
    values = [draw.gauss(0, 1) for _ in range(1000)]
    pairs = [(each, each) for each in values[:50]]
    found = estimate_with_predictions(pairs, values[50:])
    alone = estimate_mean(values[:50])
    assert found is not None and found.interval is not None
    assert alone is not None and alone.interval is not None
    assert found.mean == pytest.approx(sum(values) / 1000)
    assert found.interval.half_width < alone.interval.half_width / 3


def test_useless_predictions_do_no_harm() -> None:
    """Predictions that say nothing are not used: the estimate is that of people alone."""
    pairs = [(1.0, 5.0), (2.0, 5.0), (4.0, 5.0), (3.0, 5.0)]
    found = estimate_with_predictions(pairs, [5.0] * 100)
    alone = estimate_mean([value for value, _ in pairs])
    assert found is not None and alone is not None
    assert (found.mean, found.interval) == (alone.mean, alone.interval)


@pytest.mark.parametrize("bias", [0.0, 2.0])
def test_intervals_cover_what_they_should(bias: float) -> None:
    """Of 300 draws of 40 known values, 92 to 98 % have the true mean in a 95 % interval."""
    draw = random.Random(3)
    hits = 0
    for _ in range(300):
        values = [draw.gauss(0, 1) for _ in range(400)]
        guesses = [0.7 * each + bias + draw.gauss(0, 0.5) for each in values]
        pairs = list(zip(values, guesses, strict=True))
        found = estimate_with_predictions(pairs[:40], guesses[40:])
        assert found is not None and found.interval is not None
        hits += found.interval.low <= 0 <= found.interval.high
    assert 0.92 <= hits / 300 <= 0.98


def test_weights_undo_the_choice() -> None:
    """Where high values were chosen twice as often, weights of one half make up for it."""
    found = estimate_mean([1, 1, 3, 3, 3, 3], weights=[1, 1, 0.5, 0.5, 0.5, 0.5])
    assert found is not None and found.mean == pytest.approx(2)
