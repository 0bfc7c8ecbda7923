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


def test_the_estimate_is_ppi_pythons() -> None:
    """`ppi_mean_ci` of ppi-python 0.2.3 has 2.342 to 3.498 with the same weight of predictions.

    Ours is of Student's t, and of the variance with n - 1, so for 10 values it is wider.
    """
    values = [1, 2, 3, 4, 5, 2, 3, 4, 1, 5]
    guesses = [1.5, 2.2, 2.7, 3.8, 4.6, 2.9, 2.5, 4.4, 1.8, 4.1]
    others = [
        *(2.0, 3.1, 4.2, 1.7, 2.6, 3.3, 4.8, 2.2, 1.1, 3.9),
        *(2.7, 3.0, 3.6, 2.4, 1.9, 4.1, 2.8, 3.5, 4.4, 1.3),
    ]
    found = estimate_with_predictions(list(zip(values, guesses, strict=True)), others)
    assert found is not None and found.interval is not None
    assert found.mean == pytest.approx(2.92)
    as_normal = found.interval.half_width * 1.959964 / 2.262157
    assert 0.57797 < as_normal < 0.57797 * (10 / 9) ** 0.5


@pytest.mark.parametrize(
    ("ones", "count", "low", "high"),
    # `proportion_confint(method="wilson")` of statsmodels 0.15.0.
    [(0, 20, 0.0, 0.1611), (1, 25, 0.0071, 0.1954), (39, 40, 0.8712, 0.9956)],
)
def test_a_share_that_was_never_seen_may_be_rare(
    ones: int, count: int, low: float, high: float
) -> None:
    """The interval of a share is Wilson's, a little wider for few, also beside predictions."""
    values = [1.0] * ones + [0.0] * (count - ones)
    alone = estimate_mean(values, is_share=True)
    both = estimate_with_predictions([(x, 0.1) for x in values], [0.1] * 99, is_share=True)
    for found in (alone, both, estimate_mean(values, weights=[2.0] * count, is_share=True)):
        assert found is not None and found.interval is not None
        assert low - 0.01 <= found.interval.low <= low + 1e-4
        assert high - 1e-4 <= found.interval.high <= high + 0.02


def test_intervals_of_rare_shares_cover() -> None:
    """Of 300 draws of 25 with a share of 5 %, 92 to 99 % of the intervals have it in them.

    Student's interval has it in 72 %, because in the others nothing rare was drawn.
    """
    draw = random.Random(8)
    hits = [0, 0]
    for _ in range(300):
        rare = [draw.random() < 0.05 for _ in range(325)]
        guesses = [min(max(each * 0.5 + draw.gauss(0.2, 0.1), 0), 1) for each in rare]
        pairs = [(float(each), guess) for each, guess in zip(rare, guesses, strict=True)]
        alone = estimate_mean([each for each, _ in pairs[:25]], is_share=True)
        both = estimate_with_predictions(pairs[:25], guesses[25:], is_share=True)
        for place, found in enumerate((alone, both)):
            assert found is not None and found.interval is not None
            hits[place] += found.interval.low <= 0.05 <= found.interval.high
    assert all(0.92 <= each / 300 <= 0.99 for each in hits), hits


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
