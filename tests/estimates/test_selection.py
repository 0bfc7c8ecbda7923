"""Drawing what tells most first: means stay true with weights, and not without."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from briggs.estimates.prediction import Estimate, estimate_mean, estimate_with_predictions
from briggs.estimates.selection import (
    Draw,
    find_chance,
    find_turn,
    list_weights,
    measure_information,
    measure_uncertainty,
)

DRAWN = 100


def test_uncertainty_is_a_share_of_the_most_there_is() -> None:
    """Certain is 0, all as likely is 1, and what is not a choice tells nothing."""
    assert measure_uncertainty([0.0, 1.0, 0.0]) == 0
    assert measure_uncertainty([0.25] * 4) == pytest.approx(1)
    assert measure_uncertainty([0.1, 0.1]) == pytest.approx(1), "shares need not sum to 1"
    assert measure_uncertainty([1.0]) == measure_uncertainty([]) == 0
    assert measure_information(0.4, 2.0) == pytest.approx(0.7)


def test_a_fifth_is_as_if_at_random() -> None:
    """What tells nothing has a fifth of an equal chance; on average the chance is 1."""
    information = [0.0, 0.1, 0.2, 0.9]
    mean = sum(information) / 4
    chances = [find_chance(each, mean=mean) for each in information]
    assert chances[0] == pytest.approx(0.2)
    assert sum(chances) == pytest.approx(4)
    assert find_chance(0.0, mean=0.0) == 1, "if all tell nothing, all are alike"


def test_weights_are_inverse_probabilities() -> None:
    """Of what can no more have been missed, each stands for itself alone."""
    rare, sure = Draw(0, 1, 0.2, 0.9), Draw(0, 2, 2.0, 0.3)
    assert list_weights([rare, sure]) == pytest.approx([1 / 0.18 / (1 / 0.18 + 1) * 2, 0.30508475])
    late = Draw(5, 6, 0.2, 0.4)
    weights = list_weights([rare, sure, late])
    assert weights[2] / weights[1] == pytest.approx(1 / (0.2 * 0.4)), "less was drawn since"
    assert list_weights([]) == []


@pytest.mark.parametrize("lasts", [0.0, 1.0])
def test_weighted_means_cover_the_truth(lasts: float) -> None:
    """Of 100 draws, nearly all weighted intervals have the true mean in them, none unweighted.

    Also where the values arrive while they are drawn, for as long as it `lasts`.
    """
    hits = [_try(random.Random(seed), lasts) for seed in range(100)]
    people, both, unweighted = (sum(each) for each in zip(*hits, strict=True))
    assert people >= 88 and both >= 92, (people, both)
    assert unweighted == 0


def _try(draw: random.Random, lasts: float) -> Sequence[bool]:
    """Whether the intervals of people, of both, and of people without weights cover the truth."""
    information = [draw.random() ** 2 for _ in range(500)]
    values = [3 + 2 * each + draw.gauss(0, 0.5) for each in information]
    guesses = [each / 2 + draw.gauss(0, 0.5) for each in values]
    mean = sum(information) / len(values)
    chances = [find_chance(each, mean=mean) for each in information]
    turns = [find_turn(each, 1 - draw.random()) for each in chances]
    arrived = [lasts * draw.random() for _ in values]
    draws: dict[int, Draw] = {}
    for number in range(1, DRAWN + 1):
        now = number / DRAWN
        there = [at for at, time in enumerate(arrived) if time <= now and at not in draws]
        if there:
            at = min(there, key=turns.__getitem__)
            draws[at] = Draw(arrived[at], now, chances[at], turns[at])
    weights = list_weights(list(draws.values()))
    pairs = [(values[at], guesses[at]) for at in draws]
    others = [guess for at, guess in enumerate(guesses) if at not in draws]
    known = [value for value, _ in pairs]
    truth = sum(values) / len(values)
    return [
        _covers(found, truth)
        for found in (
            estimate_mean(known, weights=weights),
            estimate_with_predictions(pairs, others, weights=weights),
            estimate_mean(known),
        )
    ]


def _covers(found: Estimate | None, truth: float) -> bool:
    assert found is not None and found.interval is not None
    return found.interval.low <= truth <= found.interval.high
