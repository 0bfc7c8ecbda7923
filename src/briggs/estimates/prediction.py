"""A mean from a few known values and many predicted ones, unbiased whatever the predictions are.

Angelopoulos, Bates, Fannjiang, Jordan and Zrnic, "Prediction-powered inference" (2023), with the
weight of Angelopoulos, Duchi and Zrnic, "PPI++" (2023), so that bad predictions do no harm.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from briggs.estimates.intervals import LEVEL, Interval, find_t

KNOWN_MIN = 3
"""With fewer known values there is no interval."""


class Estimate(msgspec.Struct, frozen=True):
    """An estimated mean, with its interval and what it was made of."""

    mean: float
    interval: Interval | None
    """None if there are too few known values."""
    known: int
    predicted: int


def estimate_mean(
    values: Sequence[float], *, weights: Sequence[float] | None = None, level: float = LEVEL
) -> Estimate | None:
    """The mean of known values alone. None without any.

    `weights` are the inverse chances with which each was chosen; they need not sum to anything.
    """
    if not values:
        return None
    weights = weights or [1.0] * len(values)
    mean = _mean(values, weights)
    error = _error(values, weights, mean)
    interval = _interval(mean, error, len(values), level, weights)
    return Estimate(mean, interval, len(values), 0)


def estimate_with_predictions(
    pairs: Sequence[tuple[float, float]],
    others: Sequence[float],
    *,
    weights: Sequence[float] | None = None,
    level: float = LEVEL,
) -> Estimate | None:
    """The mean of all values, known and unknown. None without any pair.

    `pairs` are the known values, each with its prediction; `others` the predictions of the rest.
    `weights` are those of the pairs, as in `estimate_mean`.
    """
    if len(pairs) < KNOWN_MIN or not others:
        return estimate_mean([value for value, _ in pairs], weights=weights, level=level)
    if weights is not None:
        return _estimate_drawn(pairs, others, weights, level)
    weights = [1.0] * len(pairs)
    trust = _find_trust(pairs, others, weights)
    # The predictions of the known ones stand for themselves; those of the others for the rest.
    share = len(others) / (len(others) + len(pairs))
    rests = [value - trust * guess for value, guess in pairs]
    rest = _mean(rests, weights)
    guesses = [guess for _, guess in pairs]
    mean_known, mean_others = _mean(guesses, weights), math.fsum(others) / len(others)
    mean = rest + trust * (share * mean_others + (1 - share) * mean_known)
    mixed = [left + trust * (1 - share) * guess for left, guess in zip(rests, guesses, strict=True)]
    spread = math.fsum((each - mean_others) ** 2 for each in others) / max(len(others) - 1, 1)
    error = math.sqrt(
        _error(mixed, weights, _mean(mixed, weights)) ** 2
        + (trust * share) ** 2 * spread / len(others)
    )
    return Estimate(mean, _interval(mean, error, len(pairs), level), len(pairs), len(others))


def _estimate_drawn(
    pairs: Sequence[tuple[float, float]],
    others: Sequence[float],
    weights: Sequence[float],
    level: float,
) -> Estimate:
    """Of pairs that were drawn with chances: the others are then no picture of all values."""
    trust = _find_trust(pairs, others, weights)
    every = [*(guess for _, guess in pairs), *others]
    middle = math.fsum(every) / len(every)
    spread = math.fsum((each - middle) ** 2 for each in every) / (len(every) - 1)
    rests = [value - trust * guess for value, guess in pairs]
    rest = _mean(rests, weights)
    error = math.hypot(_error(rests, weights, rest), trust * math.sqrt(spread / len(every)))
    mean = rest + trust * middle
    interval = _interval(mean, error, len(pairs), level, weights)
    return Estimate(mean, interval, len(pairs), len(others))


def _find_trust(
    pairs: Sequence[tuple[float, float]], others: Sequence[float], weights: Sequence[float]
) -> float:
    """How much of the predictions to use, from 0 to 1: what makes the interval narrowest."""
    values, guesses = [value for value, _ in pairs], [guess for _, guess in pairs]
    middle, middle_guess = _mean(values, weights), _mean(guesses, weights)
    together = _mean([(value - middle) * (guess - middle_guess) for value, guess in pairs], weights)
    spread = _mean([(guess - middle_guess) ** 2 for guess in guesses], weights)
    return min(max(together / spread, 0.0), 1.0) if spread > 0 else 0.0


def _mean(values: Sequence[float], weights: Sequence[float]) -> float:
    return math.fsum(
        value * weight for value, weight in zip(values, weights, strict=True)
    ) / math.fsum(weights)


def _error(values: Sequence[float], weights: Sequence[float], mean: float) -> float:
    """The standard error of a weighted mean (of ratio type, as the weights are random too)."""
    if len(values) < 2:
        return math.inf
    total = math.fsum(weights)
    squares = math.fsum(
        (weight * (value - mean)) ** 2 for value, weight in zip(values, weights, strict=True)
    )
    return math.sqrt(squares * len(values) / (len(values) - 1)) / total


def _interval(
    mean: float, error: float, known: int, level: float, weights: Sequence[float] = ()
) -> Interval | None:
    if known < KNOWN_MIN or not math.isfinite(error):
        return None
    # Unequal weights tell as much as fewer equal ones (Kish, "Survey Sampling", 1965).
    like = math.fsum(weights) ** 2 / math.fsum(each**2 for each in weights) if weights else known
    half = find_t((1 + level) / 2, freedom=max(round(like) - 1, 1)) * error
    return Interval(mean - half, mean + half)
