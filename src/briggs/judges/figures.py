"""Figures of agreement with their intervals, as sums over completions."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from briggs.estimates.intervals import Interval, Resampled, Statistic, SumRow, bootstrap_all


class TrustFigure(msgspec.Struct, frozen=True):
    """A figure with its interval of 95 %. Each is None if it cannot be computed."""

    value: float | None
    interval: Interval | None = None

    @property
    def is_clear(self) -> bool:
        """Whether it is certainly not 0."""
        interval = self.interval
        return interval is not None and (interval.low > 0 or interval.high < 0)


def measure_all(
    asked: Sequence[Resampled], *, weights: Sequence[float] | None = None
) -> list[TrustFigure]:
    """Several figures of the same completions, which are resampled together.

    `weights` say how many completions each one stands for.
    """
    if not asked[0].rows:
        return [TrustFigure(None)] * len(asked)
    if weights is not None:
        asked = [each._replace(rows=_weigh(each.rows, weights)) for each in asked]
    values = [
        each.statistic([sum(column) for column in zip(*each.rows, strict=True)]) for each in asked
    ]
    return [TrustFigure(*pair) for pair in zip(values, bootstrap_all(asked), strict=True)]


def _weigh(rows: Sequence[SumRow], weights: Sequence[float]) -> list[SumRow]:
    return [
        tuple(weight * value for value in row) for row, weight in zip(rows, weights, strict=True)
    ]


def ask_alpha(rows: Sequence[SumRow], alpha: Statistic, *, widening: float = 1.0) -> Resampled:
    """Krippendorff's alpha, from its sums."""
    return Resampled(rows, alpha, "bounded", widening=widening)


def ask_mean(values: Sequence[float], *, widening: float = 1.0) -> Resampled:
    """The mean of a value of each completion."""
    rows = [(value, 1.0) for value in values]
    return Resampled(rows, lambda sums: sums[0] / sums[1], widening=widening)


def ask_difference(
    people: Sequence[SumRow],
    judge: Sequence[SumRow],
    alpha: Statistic,
    *,
    unseen: Sequence[SumRow] = (),
) -> Resampled:
    """How much higher the judge's alpha is than that of people.

    `unseen` has rows of completions on which they may differ, each of people and of the judge.
    """
    width = len(people[0]) if people else 0

    def differ(sums: Sequence[float]) -> float | None:
        theirs, its = alpha(sums[:width]), alpha(sums[width:])
        # A judge who always says the same agrees no more than chance.
        return None if theirs is None else (its or 0.0) - theirs

    rows = [(*one, *other) for one, other in zip(people, judge, strict=True)]
    return Resampled(rows, differ, "symmetric", unseen)


def ask_correlation(pairs: Sequence[tuple[float, float]]) -> Resampled:
    """Pearson's correlation. The numbers should be near 0, so that no digits are lost."""

    def correlate(sums: Sequence[float]) -> float | None:
        count, x, y, xx, yy, xy = sums
        spread = (count * xx - x * x) * (count * yy - y * y)
        return (count * xy - x * y) / math.sqrt(spread) if spread > 1e-9 else None

    return Resampled([(1.0, x, y, x * x, y * y, x * y) for x, y in pairs], correlate, "bounded")


def ask_apart(pairs: Sequence[tuple[bool, float]]) -> Resampled:
    """How much higher the mean of those that are true is than that of the others."""

    def differ(sums: Sequence[float]) -> float | None:
        ours, total, others, rest = sums
        return total / ours - rest / others if ours and others else None

    rows = [
        (1.0, value, 0.0, 0.0) if is_ours else (0.0, 0.0, 1.0, value) for is_ours, value in pairs
    ]
    return Resampled(rows, differ)
