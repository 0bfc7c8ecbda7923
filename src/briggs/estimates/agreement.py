"""How far reviewers agree: percent, two kappas, Krippendorff's alpha, confusion, and means.

Cohen, "A coefficient of agreement for nominal scales" (1960); Fleiss, "Measuring nominal scale
agreement among many raters" (1971); Krippendorff, "Computing Krippendorff's Alpha-Reliability"
(2011). Kappas of numbers have quadratic weights: Cohen, "Weighted kappa" (1968). Where nothing can
be said, because too few answered, all say the same, or numbers are too large, they are None.

Words for the figures are from two published scales, and only for `UNITS_MIN` completions or more.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any, Literal, NamedTuple

import msgspec

Level = Literal["nominal", "ordinal", "interval"]
Units = Sequence[Mapping[str, Hashable]]
"""For each completion, the answer of each reviewer; reviewers need not grade all of them."""


AnswerPair = tuple[int, Any, Any]
"""Two answers about one completion, in the order of their reviewers' names, after the number of all
answers about it."""

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
    ratings = Counter(reviewer for unit in units for reviewer in unit)
    return measure_pairs(
        Counter(pair for unit in units for pair in list_pairs(unit)), ratings=ratings, level=level
    )


def list_pairs(unit: Mapping[str, Hashable]) -> Iterator[AnswerPair]:
    """The pairs of the answers about one completion."""
    for first, second in combinations(sorted(unit), 2):
        yield len(unit), unit[first], unit[second]


def measure_pairs(
    pairs: Mapping[AnswerPair, int], *, ratings: Mapping[str, int], level: Level
) -> Agreement:
    """Measure the agreement on one field, from how often each pair of answers comes and how many
    answers each reviewer gave. It is the same in whatever order these are given.
    """
    reviewers = sorted(ratings)
    sizes = _count_units(pairs)
    together: Counter[tuple[Any, Any]] = Counter()
    for (_, one, other), count in pairs.items():
        together[one, other] += count
    alpha = _unless_too_large(_read_alpha, _find_coincidences(pairs), level)
    cohens = _unless_too_large(_cohens, together, level) if len(reviewers) == 2 else None
    size = max(sizes, key=lambda size: (sizes[size], size), default=0)
    largest = {pair: count for pair, count in pairs.items() if pair[0] == size}
    fleiss = _unless_too_large(_fleiss, largest, level)
    same = sum(count for (one, other), count in together.items() if one == other)
    units = sum(sizes.values())
    return Agreement(
        level=level,
        reviewers=reviewers,
        ratings=sum(ratings.values()),
        units=units,
        percent=same / together.total() if together else None,
        cohens_kappa=cohens,
        fleiss_kappa=fleiss,
        krippendorffs_alpha=alpha,
        verdict=find_word(alpha, ALPHA_SCALE, units=units),
        kappa_verdict=(
            find_word(cohens, KAPPA_SCALE, units=units)
            if len(reviewers) == 2
            else find_word(fleiss, KAPPA_SCALE, units=sizes[size])
        ),
        confusion=_lay_out(together),
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
    return _cohens(Counter(pairs), level)


def fleiss_kappa(answers: Sequence[Sequence[Any]], *, level: Level = "nominal") -> float | None:
    """For any reviewers, with the same number of answers for each completion.

    Of numbers it has quadratic weights too: Gwet, "Handbook of Inter-Rater Reliability" (2014).
    """
    assert len({len(unit) for unit in answers}) < 2, "each has as many answers"
    return _fleiss(_pair_answers(answers), level)


def krippendorffs_alpha(answers: Iterable[Sequence[Any]], *, level: Level) -> float | None:
    """For any reviewers and any number of answers, on any scale."""
    return _read_alpha(_find_coincidences(_pair_answers(answers)), level)


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


def _unless_too_large(
    figure: Callable[[Any, Level], float | None], pairs: Any, level: Level
) -> float | None:
    """A figure. None if it needs the squares of numbers that are too large to be squared."""
    try:
        return figure(pairs, level)
    except OverflowError:
        return None


def _pair_answers(answers: Iterable[Sequence[Any]]) -> Counter[AnswerPair]:
    """The pairs of the answers about each completion, in the order in which these are given."""
    return Counter(
        (len(unit), one, other) for unit in answers for one, other in combinations(unit, 2)
    )


def _count_units(pairs: Mapping[AnswerPair, int]) -> Counter[int]:
    """How many completions have how many answers, of those that have two or more."""
    sizes: Counter[int] = Counter()
    for (size, _, _), count in pairs.items():
        sizes[size] += count
    return Counter({size: count // math.comb(size, 2) for size, count in sizes.items()})


def _lay_out(together: Mapping[tuple[Any, Any], int]) -> Confusion:
    """How often each pair of values was given to the same completion."""
    values = sorted({value for pair in together for value in pair}, key=_sort_key)
    return Confusion(
        values, [[together.get((row, column), 0) for column in values] for row in values]
    )


def _cohens(together: Counter[tuple[Any, Any]], level: Level) -> float | None:
    """Cohen's kappa of the pairs of two reviewers."""
    if not together:
        return None
    rows: Counter[Any] = Counter()
    columns: Counter[Any] = Counter()
    for (row, column), count in together.items():
        rows[row] += count
        columns[column] += count
    return _above_chance(
        _apart(together.items(), level) / together.total(), _expect_apart(rows, columns, level)
    )


def _fleiss(pairs: Mapping[AnswerPair, int], level: Level) -> float | None:
    """Fleiss' kappa of the pairs of completions that all have as many answers."""
    both: Counter[tuple[Any, Any]] = Counter()
    values: Counter[Any] = Counter()
    for (_, one, other), count in pairs.items():
        for first, second in ((one, other), (other, one)):
            both[first, second] += count
            # Each answer stands in as many pairs as there are other answers.
            values[first] += count
    if not both:
        return None
    return _above_chance(
        _apart(both.items(), level) / both.total(), _expect_apart(values, values, level)
    )


def _find_coincidences(pairs: Mapping[AnswerPair, int]) -> dict[tuple[Any, Any], float]:
    """How often each two values stand together, of as many as there are answers."""
    shares: defaultdict[tuple[Any, Any], list[float]] = defaultdict(list)
    for (size, one, other), count in pairs.items():
        for pair in ((one, other), (other, one)):
            shares[pair].append(count / (size - 1))
    return {pair: math.fsum(some) for pair, some in shares.items()}


def _read_alpha(coincidences: Mapping[tuple[Any, Any], float], level: Level) -> float | None:
    shares: defaultdict[Any, list[float]] = defaultdict(list)
    for (value, _), weight in coincidences.items():
        shares[value].append(weight)
    totals = {value: math.fsum(some) for value, some in shares.items()}
    if len(totals) < 2:
        return None
    total = math.fsum(totals.values())
    if level == "nominal":
        observed = math.fsum(weight for (a, b), weight in coincidences.items() if a != b)
        expected = total**2 - math.fsum(weight**2 for weight in totals.values())
    else:
        place = _rank(totals) if level == "ordinal" else {value: float(value) for value in totals}
        observed = math.fsum(
            weight * (place[a] - place[b]) ** 2 for (a, b), weight in coincidences.items()
        )
        # The sum over all pairs of different values, without walking them.
        middle = math.fsum(weight * place[value] for value, weight in totals.items()) / total
        spread = math.fsum(
            weight * (place[value] - middle) ** 2 for value, weight in totals.items()
        )
        expected = 2 * total * spread
    return 1 - (total - 1) * observed / expected


def _rank(totals: Mapping[Any, float]) -> dict[Any, float]:
    """How many answers lie below each value, and half of its own."""
    places: dict[Any, float] = {}
    below = 0.0
    for value in sorted(totals):
        places[value] = below + totals[value] / 2
        below += totals[value]
    return places


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
    middle = math.fsum(count * value for value, count in rows.items()) / rows.total()
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
