"""Calibration, against figures of scipy 1.17.1 and scikit-learn 1.9.1."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence

import pytest

from briggs.estimates.calibration import (
    cross_fit,
    expected_error,
    find_widening,
    fit_isotonic,
    fit_line,
    fit_platt,
    fit_scale,
    fit_temperature,
    list_points,
    temper,
)


def test_rising_steps_are_scikit_learns() -> None:
    """`IsotonicRegression` of these numbers, and beyond their ends."""
    read = fit_isotonic([1, 2, 3, 4, 5, 6], [1, 3, 2, 4, 3.5, 6])
    assert [read(x) for x in range(1, 7)] == pytest.approx([1, 2.5, 2.5, 3.75, 3.75, 6])
    assert (read(0), read(9), read(1.5)) == pytest.approx((1, 6, 1.75))
    assert fit_isotonic([1, 1, 2], [0, 4, 3])(1) == 2


def test_a_logistic_curve_has_the_least_loss() -> None:
    """The minimum that scipy finds with Platt's targets."""
    said = [0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9]
    true = [bool(each) for each in (0, 0, 1, 0, 1, 0, 1, 1)]
    read = fit_platt(said, true)
    assert [read(x) for x in said[:3]] == pytest.approx([0.20858, 0.30125, 0.37421], abs=5e-4)
    # One outcome only, or what cannot be: still a probability.
    assert 0 < fit_platt([0.0, 1.0], [True, True])(0.5) < 1


def test_a_temperature_has_the_least_loss() -> None:
    """The minimum that scipy finds."""
    shares = [
        *([0.9, 0.05, 0.05], [0.8, 0.1, 0.1], [0.7, 0.2, 0.1]),
        *([0.6, 0.3, 0.1], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6]),
    ]
    assert fit_temperature(shares, [0, 1, 0, 2, 1, 2]) == pytest.approx(1.57856, abs=1e-3)
    assert math.fsum(temper([1.0, 0.0], 2.0)) == pytest.approx(1)


def test_calibration_never_sees_what_it_is_measured_on() -> None:
    """A fit that remembers its data gives no value for a point that it was not fitted to."""
    said = [float(each) for each in range(23)]

    def fit(xs: object, ys: object) -> object:
        known = dict(zip(xs, ys, strict=True))  # type: ignore[call-overload]
        return lambda x: known.get(x)

    assert cross_fit(said, said, fit=fit) == [None] * 23  # type: ignore[arg-type]


def test_parts_that_are_alike_do_not_pull_the_other_way() -> None:
    """The mean of the others is lower where a part is high, unless all parts are alike."""
    draw = random.Random(4)
    true = [draw.gauss(0, 1) for _ in range(50)]

    def fit(_: object, ys: Sequence[float]) -> Callable[[object], float]:
        return lambda _: math.fsum(ys) / len(ys)

    apart, alike = (
        math.fsum(guess * each for guess, each in zip(guesses, true, strict=True))
        - math.fsum(guesses) * math.fsum(true) / 50
        for guesses in (cross_fit(true, true, fit=fit), cross_fit(true, true, fit=fit, alike=true))
    )
    assert apart < -0.5 < alike <= 0


def test_a_line_mends_a_scale() -> None:
    """Scores that are off by a scale are right after calibration, and the error says so."""
    draw = random.Random(1)
    true = [draw.uniform(1, 5) for _ in range(200)]
    said = [2 + 0.1 * each for each in true]
    read = cross_fit(said, true, fit=fit_line)
    before, after = (expected_error(list_points(each, true)) for each in (said, read))
    assert before is not None and after is not None
    assert before > 0.5 and after < 0.01
    assert fit_line([1, 1], [2, 4])(7) == 3


def test_points_are_bins_of_equally_many() -> None:
    """Each has about as many, and what was said equally is in one; nothing has no error."""
    points = list_points([0.1] * 10 + [0.2] * 4 + [0.3], [0.0] * 5 + [1.0] * 10)
    assert [each for point in points for each in (point.said, point.true, point.count)] == [
        *(pytest.approx(0.1), 0.5, 10),
        *(pytest.approx(0.22), 1.0, 5),
    ]
    assert expected_error(points) == pytest.approx((10 * 0.4 + 5 * 0.78) / 15)
    assert len(list_points(range(100), range(100))) == 10
    assert expected_error(list_points([], [])) is None


def test_a_scale_keeps_the_spread() -> None:
    """What was said gets the mean and the spread of people's answers, and their direction."""
    read = fit_scale([0.1, 0.2, 0.3], [[5, 5], [3, 3], [1, 1]])
    assert [read(x) for x in (0.1, 0.2, 0.3)] == pytest.approx([5, 3, 1])
    assert fit_scale([1, 1], [[2], [4]])(9) == 3


def test_fits_that_share_grades_are_wrong_together() -> None:
    """Nadeau and Bengio: of 10 parts, 0.1 becomes 0.1 + 1 / 9; 3 grades have 3 parts."""
    assert find_widening(60, folds=10) ** 2 == pytest.approx((0.1 + 1 / 9) / 0.1)
    assert find_widening(3) == pytest.approx(math.sqrt(1 + 3 / 2))
    assert find_widening(1) == 1.0
