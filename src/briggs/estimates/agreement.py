"""How far reviewers agree: percent, two kappas, Krippendorff's alpha, confusion, and means.

Cohen, "A coefficient of agreement for nominal scales" (1960); Fleiss, "Measuring nominal scale
agreement among many raters" (1971); Krippendorff, "Computing Krippendorff's Alpha-Reliability"
(2011). Kappas of numbers have quadratic weights: Cohen, "Weighted kappa" (1968). Where nothing can
be said, because too few answered or all say the same, they are None.

Words for the figures are from two published scales, and only for `UNITS_MIN` completions or more.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import combinations, permutations
from typing import Any, Literal, NamedTuple

import msgspec

Level = Literal["nominal", "ordinal", "interval"]
Units = Sequence[Mapping[str, Hashable]]
"""For each completion, the answer of each reviewer; reviewers need not grade all of them."""


UNITS_MIN = 10
"""With fewer completions that two reviewers graded, one more answer could change every figure."""
TOO_FEW = "too few to say"
NO_VARIATION = "all the same"

ALPHA_SCALE = ((0.8, "reliable"), (0.667, "tentative"), (-math.inf, "unreliable"))
"""The words for an alpha of at least so much."""
KAPPA_SCALE = (
    (0.81, "almost perfect"),
    (0.61, "substantial"),
    (0.41, "moderate"),
    (0.21, "fair"),
    (0.0, "slight"),
    (-math.inf, "poor"),
)
SOURCES = {
    "verdict": "Of Krippendorff's alpha: reliable from 0.8, tentative from 0.667, unreliable below "
    "(Krippendorff, Content Analysis, 4th edition, 2018, chapter 12).",
    "kappa_verdict": "Of kappa: almost perfect from 0.81, substantial from 0.61, moderate from "
    "0.41, fair from 0.21, slight from 0, poor below (Landis and Koch, The measurement of "
    "observer agreement for categorical data, 1977).",
}
"""The sources of the words."""


class Confusion(msgspec.Struct, frozen=True):
    """How often one reviewer gives the row's value and another the column's.

    Of two reviewers the rows are the first's, by name; of more it is all of their pairs.
    """

    values: list[Any]
    counts: list[list[int]]


class Agreement(msgspec.Struct, kw_only=True, frozen=True):
    """How far the answers to one field agree."""

    level: Level
    """Boolean and text are nominal, integers ordinal, other numbers interval."""
    reviewers: list[str]
    ratings: int
    units: int
    """Completions that two or more reviewers graded."""
    percent: float | None
    """The share of equal pairs, of all pairs of answers about the same completion."""
    cohens_kappa: float | None
    """For two reviewers; None if there are more or fewer. Of numbers, with quadratic weights."""
    fleiss_kappa: float | None
    """For the completions that have the most common number of answers. Weighted likewise."""
    krippendorffs_alpha: float | None
    verdict: str
    """A word for alpha; or "too few to say", or "all the same" if no answers differ."""
    kappa_verdict: str
    """A word for Cohen's kappa if there are two reviewers, for Fleiss' if there are more."""
    confusion: Confusion


def measure(units: Units, *, level: Level) -> Agreement:
    """Measure the agreement on one field."""
    reviewers = sorted({reviewer for unit in units for reviewer in unit})
    shared = [unit for unit in units if len(unit) > 1]
    pairs = [(unit[reviewers[0]], unit[reviewers[1]]) for unit in shared if len(reviewers) == 2]
    answers = [list(unit.values()) for unit in shared]
    alpha = krippendorffs_alpha(answers, level=level)
    cohens = cohens_kappa(pairs, level=level)
    alike = _most_common_size(answers)
    fleiss = fleiss_kappa(alike, level=level)
    return Agreement(
        level=level,
        reviewers=reviewers,
        ratings=sum(map(len, units)),
        units=len(shared),
        percent=percent_agreement(answers),
        cohens_kappa=cohens,
        fleiss_kappa=fleiss,
        krippendorffs_alpha=alpha,
        verdict=find_word(alpha, ALPHA_SCALE, units=len(shared)),
        kappa_verdict=(
            find_word(cohens, KAPPA_SCALE, units=len(pairs))
            if len(reviewers) == 2
            else find_word(fleiss, KAPPA_SCALE, units=len(alike))
        ),
        confusion=confuse(shared),
    )


def find_word(figure: float | None, scale: Sequence[tuple[float, str]], *, units: int) -> str:
    """The word of a scale for a figure that is based on `units` completions."""
    if units < UNITS_MIN:
        return TOO_FEW
    if figure is None:
        return NO_VARIATION
    # Figures are rounded as they are shown: 0.8 of floating point may be a little less.
    return next(word for least, word in scale if round(figure, 9) >= least)


def percent_agreement(answers: Iterable[Sequence[Hashable]]) -> float | None:
    """The share of equal pairs, of all pairs of answers about the same completion."""
    same = total = 0
    for unit in answers:
        total += len(unit) * (len(unit) - 1)
        same += sum(count * (count - 1) for count in Counter(unit).values())
    return same / total if total else None


def cohens_kappa(pairs: Sequence[tuple[Any, Any]], *, level: Level = "nominal") -> float | None:
    """How much more two reviewers agree than by chance.

    Of numbers, an answer that is two off is four times as wrong as one that is one off: kappa has
    quadratic weights. Otherwise answers agree or not.
    """
    if not pairs:
        return None
    rows, columns = Counter(a for a, _ in pairs), Counter(b for _, b in pairs)
    together = Counter(pairs)
    return _above_chance(
        _apart(together.items(), level) / len(pairs), _expect_apart(rows, columns, level)
    )


def fleiss_kappa(answers: Sequence[Sequence[Any]], *, level: Level = "nominal") -> float | None:
    """For any reviewers, with the same number of answers for each completion.

    Of numbers it has quadratic weights too: Gwet, "Handbook of Inter-Rater Reliability" (2014).
    """
    pairs = Counter(pair for unit in answers for pair in _count_pairs(unit).elements())
    if not pairs:
        return None
    assert len({len(unit) for unit in answers}) == 1, "each has as many answers"
    values = Counter(value for unit in answers for value in unit)
    return _above_chance(
        _apart(pairs.items(), level) / pairs.total(), _expect_apart(values, values, level)
    )


def krippendorffs_alpha(answers: Iterable[Sequence[Any]], *, level: Level) -> float | None:
    """For any reviewers and any number of answers, on any scale."""
    coincidences: Counter[tuple[Any, Any]] = Counter()
    for unit in answers:
        for pair, count in _count_pairs(unit).items():
            coincidences[pair] += count / (len(unit) - 1)  # type: ignore[assignment]
    return _read_alpha(coincidences, level)


class Spread(NamedTuple):
    """What one completion adds to an alpha of numbers. It takes no longer for many values."""

    weight: float
    """How many answers it counts as."""
    apart: float
    """The squared differences within the completion."""
    total: float
    squares: float


def spread_within(values: Sequence[float]) -> Spread:
    """Of the answers of two or more reviewers among each other."""
    count, total = len(values), math.fsum(values)
    squares = math.fsum(value**2 for value in values)
    return Spread(count, 2 * (count * squares - total**2) / (count - 1), total, squares)


def spread_between(one: float, others: Sequence[float]) -> Spread:
    """Of one answer with each of others, but not of those among each other. It counts as a pair."""
    count = len(others)
    apart = math.fsum((one - other) ** 2 for other in others) / count
    total = one + math.fsum(others) / count
    return Spread(2, 2 * apart, total, one**2 + math.fsum(other**2 for other in others) / count)


def alpha_of_spreads(sums: Sequence[float]) -> float | None:
    """Krippendorff's alpha on the interval scale, from the sums of spreads.

    The numbers should be near 0, so that no digits are lost: subtract their mean first.
    """
    weight, apart, total, squares = sums
    expected = 2 * (weight * squares - total**2)
    # Of equal numbers, rounding may leave a little.
    return 1 - (weight - 1) * apart / expected if expected > 1e-9 * weight * squares else None


def tally_within(values: Sequence[Hashable], *, options: Sequence[Hashable]) -> list[float]:
    """What one completion adds to an alpha of choices, of two or more reviewers.

    Its pairs that differ, then how often each option was given.
    """
    counts = [values.count(option) for option in options]
    count = len(values)
    apart = (count**2 - sum(each**2 for each in counts)) / (count - 1)
    return [apart, *counts]


def tally_between(
    one: Hashable, others: Sequence[Hashable], *, options: Sequence[Hashable]
) -> list[float]:
    """The same of one answer with each of others. It counts as a pair."""
    shares = [others.count(option) / len(others) for option in options]
    same = shares[options.index(one)]
    given = [share + (each == one) for share, each in zip(shares, options, strict=True)]
    return [2 * (1 - same), *given]


def alpha_of_tallies(sums: Sequence[float]) -> float | None:
    """Krippendorff's alpha of choices, from the sums of tallies."""
    apart, *counts = sums
    total = sum(counts)
    expected = total**2 - sum(count**2 for count in counts)
    return 1 - (total - 1) * apart / expected if expected > 1e-9 * total**2 else None


def confuse(units: Units) -> Confusion:
    """How often each pair of values was given to the same completion."""
    counts = Counter(
        (unit[first], unit[second])
        for unit in units
        for first, second in combinations(sorted(unit), 2)
    )
    values = sorted({value for pair in counts for value in pair}, key=_sort_key)
    return Confusion(values, [[counts[row, column] for column in values] for row in values])


def _count_pairs(unit: Sequence[Any]) -> Counter[tuple[Any, Any]]:
    """The ordered pairs of answers of different reviewers."""
    if len(unit) < 2:
        return Counter()
    return Counter(permutations(unit, 2))


def _read_alpha(coincidences: Mapping[tuple[Any, Any], float], level: Level) -> float | None:
    totals: dict[Any, float] = {}
    for (value, _), weight in coincidences.items():
        totals[value] = totals.get(value, 0.0) + weight
    total = sum(totals.values())
    if level == "nominal":
        observed = sum(weight for (a, b), weight in coincidences.items() if a != b)
        expected = total**2 - sum(weight**2 for weight in totals.values())
    else:
        place = _rank(totals) if level == "ordinal" else {value: float(value) for value in totals}
        observed = sum(
            weight * (place[a] - place[b]) ** 2 for (a, b), weight in coincidences.items()
        )
        # The sum over all pairs of different values, without walking them.
        middle = sum(weight * place[value] for value, weight in totals.items()) / (total or 1)
        spread = sum(weight * (place[value] - middle) ** 2 for value, weight in totals.items())
        expected = 2 * total * spread
    if len(totals) < 2:
        return None
    return 1 - (total - 1) * observed / expected


def _rank(totals: Mapping[Any, float]) -> dict[Any, float]:
    """How many answers lie below each value, and half of its own."""
    places: dict[Any, float] = {}
    below = 0.0
    for value in sorted(totals):
        places[value] = below + totals[value] / 2
        below += totals[value]
    return places


def _most_common_size(answers: Sequence[Sequence[Hashable]]) -> list[Sequence[Hashable]]:
    sizes = Counter(map(len, answers))
    size = max(sizes, key=lambda size: (sizes[size], size), default=0)
    return [unit for unit in answers if len(unit) == size]


def _apart(pairs: Iterable[tuple[tuple[Any, Any], int]], level: Level) -> float:
    """How far pairs differ in sum: how many do, or of numbers the squared differences."""
    if level == "nominal":
        return sum(count for (a, b), count in pairs if a != b)
    return math.fsum(count * (a - b) ** 2 for (a, b), count in pairs)


def _expect_apart(rows: Counter[Any], columns: Counter[Any], level: Level) -> float:
    """How far two answers differ on average if nothing connects them."""
    total = rows.total() * columns.total()
    if level == "nominal":
        return 1 - sum(rows[value] * columns[value] for value in rows) / total
    # The mean square of a difference is that of each, less twice the product of the means. The
    # numbers are moved near 0, so that no digits are lost.
    middle = math.fsum(rows.elements()) / rows.total()
    (first, first_squares), (second, second_squares) = (
        [
            math.fsum(count * (value - middle) ** power for value, count in counts.items())
            / counts.total()
            for power in (1, 2)
        ]
        for counts in (rows, columns)
    )
    return first_squares + second_squares - 2 * first * second


def _above_chance(apart: float, expected: float) -> float | None:
    return 1 - apart / expected if expected else None


def _sort_key(value: Any) -> tuple[str, Any]:
    """Numbers by size, anything else by its text."""
    is_number = isinstance(value, int | float)
    return ("", value) if is_number else (type(value).__name__, str(value))
