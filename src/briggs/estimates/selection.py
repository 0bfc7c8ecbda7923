"""Which values to ask people for, and what each of them then stands for, so that means stay true.

Units are drawn with chances in proportion to a size: Duffield, Lund and Thorup, "Priority sampling
for estimation of arbitrary subset sums" (2007). Each has a random place from 0 to 1 of its own, and
its turn is this place divided by its size. Whoever takes the least turns first draws each unit with
a known probability.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

RANDOM_SHARE = 0.2
"""The share of the draws that are as if at random, so that every unit has a chance."""


def measure_uncertainty(shares: Sequence[float]) -> float:
    """How open a choice is, by its probabilities: 0 if it is certain, 1 if all are as likely.

    The entropy in units of its maximum.
    """
    total = math.fsum(shares)
    if len(shares) < 2 or total <= 0:
        return 0.0
    chances = [share / total for share in shares if share > 0]
    return -math.fsum(each * math.log(each) for each in chances) / math.log(len(shares))


def measure_information(uncertainty: float, disagreement: float) -> float:
    """What an answer is expected to tell, from 0 to 1: the mean of two shares from 0 to 1.

    `uncertainty` is the judge's own, and `disagreement` how far a guess without a model is from it.
    """
    return (min(max(uncertainty, 0.0), 1.0) + min(max(disagreement, 0.0), 1.0)) / 2


def find_chance(information: float, *, mean: float) -> float:
    """The size of a unit: how likely it is to be drawn, if a unit at random has 1.

    `mean` is the mean information of the units. A share of `RANDOM_SHARE` is equal for all.
    """
    ratio = information / mean if mean > 0 else 1.0
    return RANDOM_SHARE + (1 - RANDOM_SHARE) * ratio


def find_turn(chance: float, place: float) -> float:
    """When a unit is due: the least first. `place` is a random number of its own, above 0 to 1."""
    return place / chance


class Draw(NamedTuple):
    """A unit that was drawn."""

    arrived: float
    """When it could first be drawn, on any scale of time."""
    drawn: float
    chance: float
    turn: float


def list_weights(draws: Sequence[Draw]) -> list[float]:
    """How many units each drawn one stands for, up to a factor: their mean is 1.

    A unit was drawn if its turn was at most the greatest that was drawn since it arrived. So the
    probability of this is known, and the weight is its inverse.
    """
    if not draws:
        return []
    later = sorted(draws, key=lambda each: -each.drawn)
    times = [-each.drawn for each in later]
    reached = list(accumulate((each.turn for each in later), max))
    weights = []
    for each in draws:
        place = bisect.bisect_right(times, -each.arrived)
        # A clock may be off: a unit was there when it was drawn.
        turn = max(reached[place - 1] if place else 0.0, each.turn)
        weights.append(1 / min(1.0, each.chance * turn))
    mean = math.fsum(weights) / len(weights)
    return [weight / mean for weight in weights]
