"""Calibration: makes scores and probabilities mean what they say, measured by cross-fitting.

Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks" (2017), for temperature
and the expected calibration error; Platt (1999); Ayer and others (1955) for isotonic regression.
"""

from __future__ import annotations

import bisect
import math
import random
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import msgspec

FOLDS = 5
BINS = 10
_SHARE_MIN = 1e-6
"""No outcome is impossible: a model that says so may be wrong."""

Scale = Callable[[float], float]
X = TypeVar("X")
Y = TypeVar("Y")
Z = TypeVar("Z")


class Point(msgspec.Struct, frozen=True):
    """A bin of a reliability plot: what was said on average, what was true, and of how many."""

    said: float
    true: float
    count: int


def fit_line(said: Sequence[float], true: Sequence[float]) -> Scale:
    """The straight line of least squares; a constant if all that was said is equal."""
    mean_said, mean_true = _mean(said), _mean(true)
    spread = math.fsum((x - mean_said) ** 2 for x in said)
    slope = (
        math.fsum((x - mean_said) * (y - mean_true) for x, y in zip(said, true, strict=True))
        / spread
        if spread > 0
        else 0.0
    )
    return lambda x: mean_true + slope * (x - mean_said)


def fit_scale(said: Sequence[float], true: Sequence[Sequence[float]]) -> Scale:
    """The line that gives what was said the mean and the spread of what is true.

    Unlike the line of least squares it does not draw everything to the middle, so what it gives
    can be compared with people's answers as one of them. `true` has several answers for each.
    A constant if all that was said is equal.
    """
    answers = [answer for each in true for answer in each]
    means = [_mean(each) for each in true]
    middle_said, middle = _mean(said), _mean(means)
    spread_said = math.fsum((x - middle_said) ** 2 for x in said) / len(said)
    middle_answer = _mean(answers)
    spread = math.fsum((y - middle_answer) ** 2 for y in answers) / len(answers)
    together = math.fsum((x - middle_said) * (y - middle) for x, y in zip(said, means, strict=True))
    slope = math.copysign(math.sqrt(spread / spread_said), together) if spread_said > 0 else 0.0
    return lambda x: middle + slope * (x - middle_said)


def fit_isotonic(said: Sequence[float], true: Sequence[float]) -> Scale:
    """The rising steps of least squares, joined by straight lines."""
    together: dict[float, list[float]] = {}
    for x, y in zip(said, true, strict=True):
        together.setdefault(x, []).append(y)
    blocks: list[_Block] = []
    for x in sorted(together):
        block = _Block(x, x, math.fsum(together[x]), len(together[x]))
        while blocks and blocks[-1].height >= block.height:
            before = blocks.pop()
            block = _Block(
                before.first, block.last, before.total + block.total, before.size + block.size
            )
        blocks.append(block)
    ends = {x: block.height for block in blocks for x in (block.first, block.last)}
    places, heights = list(ends), list(ends.values())

    def read(x: float) -> float:
        at = bisect.bisect_right(places, x)
        if at == 0:
            return heights[0]
        if at == len(places):
            return heights[-1]
        share = (x - places[at - 1]) / (places[at] - places[at - 1])
        return heights[at - 1] + share * (heights[at] - heights[at - 1])

    return read


class _Block(NamedTuple):
    """Neighbours that have the same height."""

    first: float
    last: float
    total: float
    size: int

    @property
    def height(self) -> float:
        return self.total / self.size


def fit_temperature(shares: Sequence[Sequence[float]], true: Sequence[int]) -> float:
    """The temperature at which probabilities fit the outcomes best. Above 1 makes them humbler.

    `shares` has the probability of each option, `true` the place of the one that was right.
    """

    def loss(log_temperature: float) -> float:
        temperature = math.exp(log_temperature)
        return -math.fsum(
            math.log(temper(each, temperature)[right])
            for each, right in zip(shares, true, strict=True)
        )

    return math.exp(_minimise(loss, math.log(0.05), math.log(20.0)))


def temper(shares: Sequence[float], temperature: float) -> list[float]:
    """Probabilities at a temperature. They sum to 1, and none is 0."""
    logs = [math.log(max(share, _SHARE_MIN)) / temperature for share in shares]
    top = max(logs)
    raised = [math.exp(each - top) for each in logs]
    total = math.fsum(raised)
    return [max(each / total, 1e-12) for each in raised]


def fit_platt(said: Sequence[float], true: Sequence[bool]) -> Scale:
    """A logistic curve over the log odds of a probability, fitted by Newton's method.

    Platt's targets, which are a little inside 0 and 1, keep it finite for any outcomes.
    """
    ones = sum(true)
    high, low = (ones + 1) / (ones + 2), 1 / (len(true) - ones + 2)
    odds = [_log_odds(share) for share in said]
    targets = [high if each else low for each in true]
    slope, shift = 0.0, math.log((ones + 1) / (len(true) - ones + 1))
    for _ in range(50):
        fits = [_logistic(slope * x + shift) for x in odds]
        # A small ridge towards no change, for outcomes that a step would separate.
        first = [
            math.fsum((y - p) * x for x, y, p in zip(odds, targets, fits, strict=True))
            - 1e-3 * (slope - 1),
            math.fsum(y - p for y, p in zip(targets, fits, strict=True)) - 1e-3 * shift,
        ]
        curve = [p * (1 - p) for p in fits]
        a = math.fsum(w * x * x for w, x in zip(curve, odds, strict=True)) + 1e-3
        b = math.fsum(w * x for w, x in zip(curve, odds, strict=True))
        c = math.fsum(curve) + 1e-3
        root = a * c - b * b
        step = ((c * first[0] - b * first[1]) / root, (a * first[1] - b * first[0]) / root)
        slope, shift = slope + step[0], shift + step[1]
        if max(map(abs, step)) < 1e-9:
            break
    return lambda share: _logistic(slope * _log_odds(share) + shift)


def cross_fit(
    said: Sequence[X],
    true: Sequence[Y],
    *,
    fit: Callable[[Sequence[X], Sequence[Y]], Callable[[X], Z]],
    folds: int = FOLDS,
    seed: int = 0,
    alike: Sequence[float] | None = None,
) -> list[Z]:
    """What each would be calibrated to by the others: fitted without the part that it is in.

    With `alike`, all parts have about the same mean of these numbers. Otherwise the mean of the
    others is the lower the higher a part is, by which a fit seems worse than it is.
    """
    order = list(range(len(said)))
    random.Random(seed).shuffle(order)  # noqa: S311 - predictable on purpose
    if alike is not None:
        order.sort(key=alike.__getitem__)
    found: dict[int, Z] = {}
    folds = min(folds, len(order))
    for fold in range(folds):
        held = set(order[fold::folds])
        kept = [at for at in order if at not in held] or order
        read = fit([said[at] for at in kept], [true[at] for at in kept])
        found |= {at: read(said[at]) for at in held}
    return [found[at] for at in range(len(said))]


def find_widening(count: int, *, folds: int = FOLDS) -> float:
    """How many times as wide an interval must be if its figure is about guesses of `cross_fit` that
    depend much on the grades they were fitted to.

    The fits to the parts share most of their grades, so they are wrong together, which resampling
    the guesses does not show. Nadeau and Bengio, "Inference for the Generalization Error" (2003),
    section 4.1: the variance has `1 / folds + parts held / parts kept` in place of `1 / folds`.
    """
    folds = min(folds, count)
    return math.sqrt(1 + folds / (folds - 1)) if folds > 1 else 1.0


def list_points(said: Sequence[float], true: Sequence[float], *, bins: int = BINS) -> list[Point]:
    """The points of a reliability plot: bins of about equally many, in the order of what was said.

    What was said equally is in one bin, for nothing tells it apart.
    """
    size = max(len(said) / bins, 5.0)
    parts: list[list[tuple[float, float]]] = []
    for pair in sorted(zip(said, true, strict=True)):
        if not parts or (len(parts[-1]) >= size and parts[-1][-1][0] != pair[0]):
            parts.append([])
        parts[-1].append(pair)
    return [
        Point(_mean([x for x, _ in part]), _mean([y for _, y in part]), len(part)) for part in parts
    ]


def expected_error(points: Sequence[Point]) -> float | None:
    """The expected calibration error: how far what was said is from what was true, on average."""
    total = sum(point.count for point in points)
    if not total:
        return None
    return math.fsum(point.count * abs(point.said - point.true) for point in points) / total


def _minimise(loss: Callable[[float], float], low: float, high: float) -> float:
    """The place of the least value between two ends, by golden sections."""
    ratio = (math.sqrt(5) - 1) / 2
    a, b = high - ratio * (high - low), low + ratio * (high - low)
    at_a, at_b = loss(a), loss(b)
    while high - low > 1e-4:
        if at_a < at_b:
            high, b, at_b = b, a, at_a
            a = high - ratio * (high - low)
            at_a = loss(a)
        else:
            low, a, at_a = a, b, at_b
            b = low + ratio * (high - low)
            at_b = loss(b)
    return (low + high) / 2


def _log_odds(share: float) -> float:
    share = min(max(share, _SHARE_MIN), 1 - _SHARE_MIN)
    return math.log(share / (1 - share))


def _logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
