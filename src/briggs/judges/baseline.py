"""Grades by the words of a text, learnt from the same grades without any model: what to beat."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence

from briggs.judges.texts import Texts

RIDGE = 1.0
"""How strongly the weights of words are held back."""
STEPS_MAX = 50
NEIGHBOURS_MAX = 15
CHOICES_WIDENING = 1.2
"""How many times as wide the intervals must be for guesses of `fit_choices`, by 1,200 draws of
`bench/coverage.py`. `find_widening` is for fits that depend on all grades: by it, the interval
would be too wide for guesses that depend on a few neighbours."""


def fit_numbers(texts: Sequence[str], numbers: Sequence[float]) -> Callable[[str], float]:
    """Ridge regression on the weights of words (TF-IDF), solved by conjugate gradients."""
    known = Texts(texts)
    middle = math.fsum(numbers) / len(numbers)
    weights: dict[str, float] = {}
    left = [number - middle for number in numbers]
    gradient = _gather(known, left)
    direction = dict(gradient)
    size = _square(gradient)
    begun = size
    for _ in range(STEPS_MAX):
        if size <= begun * 1e-10 or not size:
            break
        along = [_multiply(direction, vector) for vector in known.vectors]
        bend = math.fsum(each**2 for each in along) + RIDGE * _square(direction)
        step = size / bend
        for word, value in direction.items():
            weights[word] = weights.get(word, 0.0) + step * value
        left = [each - step * change for each, change in zip(left, along, strict=True)]
        gradient = _gather(known, left)
        for word, weight in weights.items():
            gradient[word] = gradient.get(word, 0.0) - RIDGE * weight
        size, before = _square(gradient), size
        direction = {
            word: value + size / before * direction.get(word, 0.0)
            for word, value in gradient.items()
        }
    return lambda text: middle + _multiply(weights, known.read(text))


def fit_choices(texts: Sequence[str], choices: Sequence[str]) -> Callable[[str], str]:
    """The choice of the nearest texts, weighted by how near they are."""
    known = Texts(texts)
    count = min(NEIGHBOURS_MAX, max(1, round(math.sqrt(len(texts)))))
    common = Counter(choices).most_common(1)[0][0]

    def read(text: str) -> str:
        nearness = known.measure(text)
        nearest = sorted(range(len(texts)), key=lambda place: -nearness[place])[:count]
        votes: Counter[str] = Counter()
        for place in nearest:
            votes[choices[place]] += nearness[place]  # type: ignore[assignment]
        best, weight = votes.most_common(1)[0]
        return best if weight else common

    return read


def _gather(known: Texts, values: Sequence[float]) -> dict[str, float]:
    gathered: dict[str, float] = {}
    for vector, value in zip(known.vectors, values, strict=True):
        for word, weight in vector.items():
            gathered[word] = gathered.get(word, 0.0) + weight * value
    return gathered


def _square(vector: dict[str, float]) -> float:
    return math.fsum(value**2 for value in vector.values())


def _multiply(one: dict[str, float], other: dict[str, float]) -> float:
    if len(one) > len(other):
        one, other = other, one
    return math.fsum(value * other[word] for word, value in one.items() if word in other)
