"""A mean from a few known values and many predicted ones, unbiased whatever the predictions are.

Angelopoulos, Bates, Fannjiang, Jordan and Zrnic, "Prediction-powered inference" (2023), with the
weight of Angelopoulos, Duchi and Zrnic, "PPI++" (2023), so that bad predictions do no harm. A share
has Wilson's interval of as many units as tell as much: Korn and Graubard, "Confidence intervals for
proportions with small expected number of positive counts" (1998).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import NamedTuple

import msgspec

from briggs.estimates.intervals import LEVEL, Interval, find_t
from briggs.estimates.pairs import wilson

KNOWN_MIN = 3
"""With fewer known values there is no interval."""


class Estimate(msgspec.Struct, frozen=True):
    """An estimated mean, with its interval and what it was made of."""

    mean: float
    interval: Interval | None
    """None if there are too few known values."""
    known: int
    predicted: int


class _Found(NamedTuple):
    """A mean and its standard error."""

    mean: float
    error: float


def estimate_mean(
    values: Sequence[float],
    *,
    weights: Sequence[float] | None = None,
    level: float = LEVEL,
    is_share: bool = False,
) -> Estimate | None:
    """The mean of known values alone. None without any.

    `weights` are the inverse chances with which each was chosen; they need not sum to anything.
    With `is_share` the values are between 0 and 1, and what was never seen may still be rare.
    """
    if not values:
        return None
    found = _find_alone(values, weights)
    if is_share:
        interval = _share_interval(found, found, len(values), level, weights)
    else:
        interval = _interval(found, len(values), level, weights)
    return Estimate(found.mean, interval, len(values), 0)


def estimate_with_predictions(
    pairs: Sequence[tuple[float, float]],
    others: Sequence[float],
    *,
    weights: Sequence[float] | None = None,
    level: float = LEVEL,
    is_share: bool = False,
) -> Estimate | None:
    """The mean of all values, known and unknown. None without any pair.

    `pairs` are the known values, each with its prediction; `others` the predictions of the rest.
    `weights` and `is_share` are those of `estimate_mean`.
    """
    values = [value for value, _ in pairs]
    if len(pairs) < KNOWN_MIN or not others:
        return estimate_mean(values, weights=weights, level=level, is_share=is_share)
    found = _find_random(pairs, others) if weights is None else _find_drawn(pairs, others, weights)
    if is_share:
        alone = _find_alone(values, weights)
        interval = _share_interval(found, alone, len(pairs), level, weights)
        found = found._replace(mean=min(max(found.mean, 0.0), 1.0))
    else:
        interval = _interval(found, len(pairs), level, weights)
    return Estimate(found.mean, interval, len(pairs), len(others))


def _find_alone(values: Sequence[float], weights: Sequence[float] | None) -> _Found:
    weights = weights or [1.0] * len(values)
    mean = _mean(values, weights)
    return _Found(mean, _error(values, weights, mean))


def _find_random(pairs: Sequence[tuple[float, float]], others: Sequence[float]) -> _Found:
    """Of pairs that were drawn at random."""
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
    return _Found(mean, error)


def _find_drawn(
    pairs: Sequence[tuple[float, float]], others: Sequence[float], weights: Sequence[float]
) -> _Found:
    """Of pairs that were drawn with chances: the others are then no picture of all values."""
    trust = _find_trust(pairs, others, weights)
    every = [*(guess for _, guess in pairs), *others]
    middle = math.fsum(every) / len(every)
    spread = math.fsum((each - middle) ** 2 for each in every) / (len(every) - 1)
    rests = [value - trust * guess for value, guess in pairs]
    rest = _mean(rests, weights)
    error = math.hypot(_error(rests, weights, rest), trust * math.sqrt(spread / len(every)))
    return _Found(rest + trust * middle, error)


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
    found: _Found, known: int, level: float, weights: Sequence[float] | None = None
) -> Interval | None:
    if known < KNOWN_MIN or not math.isfinite(found.error):
        return None
    half = _find_reach(known, level, weights) * found.error
    return Interval(found.mean - half, found.mean + half)


def _share_interval(
    found: _Found, alone: _Found, known: int, level: float, weights: Sequence[float] | None
) -> Interval | None:
    """Wilson's, of as many units as have this error. `alone` is the share without predictions."""
    if known < KNOWN_MIN or not math.isfinite(found.error):
        return None
    # Predictions do not tell less than nothing, also where a share near 0 or 1 hides it.
    least = _count_units(alone, otherwise=_count_alike(known, weights))
    units = max(_count_units(found, otherwise=least), least)
    # The error of few units is uncertain itself.
    wider = _find_reach(known, level, weights) / NormalDist().inv_cdf((1 + level) / 2)
    units /= wider**2
    return wilson(min(max(found.mean, 0.0), 1.0) * units, units, level=level)


def _count_units(found: _Found, *, otherwise: float) -> float:
    """How many units drawn at random would have this error of a share."""
    spread = found.mean * (1 - found.mean)
    return spread / found.error**2 if spread > 0 and found.error > 0 else otherwise


def _count_alike(known: int, weights: Sequence[float] | None) -> float:
    """Unequal weights tell as much as fewer equal ones (Kish, "Survey Sampling", 1965)."""
    if weights is None:
        return known
    return math.fsum(weights) ** 2 / math.fsum(each**2 for each in weights)


def _find_reach(known: int, level: float, weights: Sequence[float] | None) -> float:
    """How many standard errors an interval is wide to each side."""
    freedom = max(round(_count_alike(known, weights)) - 1, 1)
    return find_t((1 + level) / 2, freedom=freedom)
