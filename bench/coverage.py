"""Counts how often each interval of 95 % has the true value in it, over repeated draws.

What people say is real: snippets are drawn, with three people's grades each, and the true value is
that of all snippets and all people. Judges are simulated, so that their worth is known. Answers of
evals are simulated too.
"""

from __future__ import annotations

import math
import random
import statistics
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from bench.snippets import HIGHEST, LOWEST, Snippet
from briggs.estimates.agreement import (
    alpha_of_spreads,
    alpha_of_tallies,
    spread_within,
)
from briggs.estimates.calibration import (
    Scale,
    cross_fit,
    fit_isotonic,
    fit_line,
    fit_platt,
    fit_scale,
)
from briggs.estimates.intervals import Interval
from briggs.estimates.means import compare_means
from briggs.estimates.pairs import compare_pairs, mean_of_clusters
from briggs.estimates.prediction import Estimate, estimate_mean, estimate_with_predictions
from briggs.estimates.selection import Draw, find_chance, find_turn, list_weights
from briggs.judges.baseline import fit_choices, fit_numbers
from briggs.judges.choices import measure_choices
from briggs.judges.graded import GradedCompletion
from briggs.judges.numbers import measure_numbers
from briggs.judges.verdicts import FieldTrust
from briggs.types.forms import read_form
from briggs.types.judges import Judgement

SCHEMA = {
    "properties": {
        "mood": {"type": "integer", "minimum": LOWEST, "maximum": HIGHEST},
        "positive": {"type": "boolean"},
    }
}
MOOD, POSITIVE = read_form(SCHEMA).fields
NEUTRAL = (LOWEST + HIGHEST) / 2
REVIEWERS = 3
JUDGED = 2_000
"""How many the judge has graded, for estimates of all."""
FEW = 300
"""How many snippets show what a guess by words is worth on all."""

Numbers = npt.NDArray[np.float64]
X = TypeVar("X")
Y = TypeVar("Y")
Z = TypeVar("Z")
Fit = Callable[[Sequence[X], Sequence[Y]], Callable[[X], Z]]


class Simulated(NamedTuple):
    """A judge that says what people say on average, on another scale, with noise."""

    name: str
    slope: float
    shift: float
    noise: float

    def score(self, snippet: Snippet) -> float:
        """The same for the same snippet."""
        draw = random.Random(f"{self.name} {snippet.text}")
        value = self.shift + self.slope * (snippet.mean - NEUTRAL) + draw.gauss(0, self.noise)
        return min(max(NEUTRAL + value, LOWEST), HIGHEST)


JUDGES = (
    Simulated("good", 1.0, 0.0, 0.6),
    Simulated("poor", 0.4, 0.0, 1.5),
    Simulated("shifted", 0.5, 1.0, 0.6),
)
"""About as good as a person; clearly worse; and as good, on another scale."""


class Tally:
    """How often each interval had the truth in it."""

    def __init__(self) -> None:
        self._hits: Counter[str] = Counter()
        self._totals: Counter[str] = Counter()

    def add(self, name: str, interval: Interval | None, truth: float | None) -> None:
        """Count an interval, if there is one."""
        if interval is not None and truth is not None:
            self._totals[name] += 1
            self._hits[name] += bool(interval.low <= truth <= interval.high)

    def list_shares(self) -> dict[str, float]:
        """The share of hits of each."""
        return {name: self._hits[name] / total for name, total in self._totals.items()}


# ---- Judges beside people ---------------------------------------------------------------------


class Truth:
    """The values of all snippets and all people, for one judge."""

    def __init__(self, snippets: Sequence[Snippet], judge: Simulated) -> None:
        self.judge = judge
        # The files are sorted by product, so the first of them would not stand for all.
        self.snippets = random.Random(2).sample(snippets, len(snippets))
        self.scores = np.array([judge.score(each) for each in self.snippets])
        self.ratings = [[*map(float, each.ratings)] for each in self.snippets]
        most = max(map(len, self.ratings))
        # Snippets have 15 to 20 grades: those that are missing are not numbers.
        self.grid = np.array([[*each, *[math.nan] * (most - len(each))] for each in self.ratings])
        self.means = np.nanmean(self.grid, axis=1)
        said = np.round(self.scores)
        self.people_alpha = self._find_people_alpha()
        self.people_error = statistics.fmean(map(measure_apart, self.ratings))
        self.judge_alpha, self.judge_error = self.find_alpha(said), self.find_error(said)
        self.mean = float(self.means.mean())
        self.correlation, self.length_bias = self._correlate()

    def find_alpha(self, values: Numbers) -> float:
        """Of values with people, for the first snippets: `alpha_of_spreads` by columns."""
        grid = self.grid[: len(values)] - NEUTRAL
        ours = values - NEUTRAL
        apart = 2 * np.nanmean((ours[:, None] - grid) ** 2, axis=1).sum()
        total = (ours + np.nanmean(grid, axis=1)).sum()
        squares = (ours**2 + np.nanmean(grid**2, axis=1)).sum()
        found = alpha_of_spreads([2.0 * len(values), apart, total, squares])
        assert found is not None
        return found

    def find_error(self, values: Numbers) -> float:
        """How far values are from a person, for the first snippets."""
        apart = np.abs(values[:, None] - self.grid[: len(values)])
        return float(np.nanmean(apart, axis=1).mean())

    def _find_people_alpha(self) -> float:
        rows = [spread_within([x - NEUTRAL for x in each]) for each in self.ratings]
        found = alpha_of_spreads([sum(column) for column in zip(*rows, strict=True)])
        assert found is not None
        return found

    def _correlate(self) -> tuple[float, float]:
        """Of the score with the mean of three people, and of what is apart with the length."""
        draw = random.Random(1)
        means = [statistics.fmean(draw.sample(each, REVIEWERS)) for each in self.ratings]
        apart = [score - mean for score, mean in zip(self.scores, means, strict=True)]
        lengths = [math.log1p(len(each.text)) for each in self.snippets]
        return (
            statistics.correlation([*self.scores], means),
            statistics.correlation(lengths, apart),
        )


def scale_all(scale: Scale, values: Numbers) -> Numbers:
    """Each value on another scale."""
    return np.array([scale(each) for each in values])


def list_fits(
    said: Sequence[X], true: Sequence[Y], fit: Fit[X, Y, Z], *, alike: Sequence[float] | None = None
) -> list[Callable[[X], Z]]:
    """What was fitted to each part of the grades, as a report does: that is what it measures."""
    fits: list[Callable[[X], Z]] = []

    def note(some: Sequence[X], others: Sequence[Y]) -> Callable[[X], Z]:
        fits.append(fit(some, others))
        return fits[-1]

    cross_fit(said, true, fit=note, alike=alike)
    return fits


def measure_apart(ratings: Sequence[float]) -> float:
    """How far two people are apart, on average over their pairs."""
    pairs = [abs(a - b) for place, a in enumerate(ratings) for b in ratings[:place]]
    return statistics.fmean(pairs)


def create_graded(
    snippet: Snippet, people: Sequence[int], score: float, *, weight: float = 1.0
) -> GradedCompletion:
    """A snippet that people and a judge graded."""
    share = to_share(score, NEUTRAL)
    judgement = Judgement(
        organization_id="bench",
        judge_id="bench",
        version=1,
        completion_id=snippet.text,
        status="finished",
        scores={"mood": score},
        json_values={"mood": round(score), "positive": share > 0.5},
        probabilities={"positive": [share, 1 - share]},
    )
    seats = list(map(str, range(len(people))))
    return GradedCompletion(
        {
            "mood": dict(zip(seats, people, strict=True)),
            "positive": dict(zip(seats, (each > NEUTRAL for each in people), strict=True)),
        },
        judgement,
        snippet.text,
        len(snippet.text),
        "bench",
        weight=weight,
    )


def to_share(score: float, middle: float) -> float:
    """The probability that a judge gives to more than the middle."""
    return 1 / (1 + math.exp(-1.5 * (score - middle)))


def draw_graded(
    snippets: Sequence[Snippet], judge: Simulated, count: int, draw: random.Random
) -> list[GradedCompletion]:
    """Some snippets with three people's grades each, and what the judge said."""
    return [
        create_graded(each, draw.sample(each.ratings, REVIEWERS), judge.score(each))
        for each in draw.choices(snippets, k=count)
    ]


def count_numbers(
    tally: Tally, truth: Truth, graded: Sequence[GradedCompletion], found: FieldTrust
) -> None:
    """The intervals of a report about numbers."""
    assert found.people is not None and found.judge is not None
    assert found.calibrated is not None and found.baseline is not None
    scores = [each.judgement.scores["mood"] for each in graded]
    people = [[*map(float, each.people["mood"].values())] for each in graded]
    means = [*map(statistics.fmean, people)]
    assert found.calibration is not None
    fit = fit_isotonic if found.calibration.method == "isotonic" else fit_line
    scaled = [scale_all(each, truth.scores) for each in list_fits(scores, people, fit_scale)]
    fitted = [scale_all(each, truth.scores) for each in list_fits(scores, means, fit)]
    texts = [each.text for each in graded]
    guesses = [
        np.array([read(each.text) for each in truth.snippets[:FEW]])
        for read in list_fits(texts, means, fit_numbers, alike=means)
    ]
    for name, interval, value in (
        ("people: alpha", found.people.alpha.interval, truth.people_alpha),
        ("people: error", found.people.error.interval, truth.people_error),
        ("judge: alpha", found.judge.alpha.interval, truth.judge_alpha),
        ("judge: error", found.judge.error.interval, truth.judge_error),
        ("calibrated: alpha", found.calibrated.alpha.interval, _mean(truth.find_alpha, scaled)),
        ("calibrated: error", found.calibrated.error.interval, _mean(truth.find_error, fitted)),
        ("words: alpha", found.baseline.alpha.interval, _mean(truth.find_alpha, guesses)),
        ("words: error", found.baseline.error.interval, _mean(truth.find_error, guesses)),
        (
            "difference of alphas",
            found.difference.interval,
            _mean(truth.find_alpha, scaled) - truth.people_alpha,
        ),
        ("correlation", found.correlation.interval, truth.correlation),
        ("bias by length", found.biases[0].figure.interval, truth.length_bias),
    ):
        tally.add(name, interval, value)


def _mean(measure: Callable[[Numbers], float], several: Sequence[Numbers]) -> float:
    return statistics.fmean(map(measure, several))


class ChoiceTruth:
    """The same for yes and no."""

    def __init__(self, truth: Truth) -> None:
        self._scores = truth.scores
        self._snippets = truth.snippets
        self._positive = np.nanmean(np.where(np.isnan(truth.grid), np.nan, truth.grid > NEUTRAL), 1)
        counts = (~np.isnan(truth.grid)).sum(axis=1)
        ones = self._positive * counts
        apart = ((counts**2 - ones**2 - (counts - ones) ** 2) / (counts - 1)).sum()
        alpha = alpha_of_tallies([apart, ones.sum(), (counts - ones).sum()])
        assert alpha is not None
        self.people_alpha = alpha
        pairs = ones * (ones - 1) + (counts - ones) * (counts - ones - 1)
        self.people_error = float((1 - pairs / (counts * (counts - 1))).mean())
        self.judge_alpha, self.judge_error = self.find(lambda share: share)

    def find(self, curve: Scale) -> tuple[float, float]:
        """The alpha and the error of what is likelier, after a calibration that only rises."""
        low, high = LOWEST - 9.0, HIGHEST + 9.0
        for _ in range(40):
            middle = (low + high) / 2
            is_yes = curve(to_share(middle, NEUTRAL)) > 0.5
            low, high = (low, middle) if is_yes else (middle, high)
        return self._measure(self._scores > high)

    def find_guessed(self, read: Callable[[str], str]) -> tuple[float, float]:
        """The same for a guess by words, of the first snippets."""
        return self._measure(np.array([read(each.text) == "true" for each in self._snippets[:FEW]]))

    def _measure(self, says: npt.NDArray[np.bool_]) -> tuple[float, float]:
        positive = self._positive[: len(says)]
        share = np.where(says, positive, 1 - positive)
        ones = float((says + positive).sum())
        alpha = alpha_of_tallies([2 * float((1 - share).sum()), ones, 2 * len(says) - ones])
        assert alpha is not None
        return alpha, float((1 - share).mean())


def count_choices(
    tally: Tally, truth: ChoiceTruth, graded: Sequence[GradedCompletion], found: FieldTrust
) -> None:
    """The intervals of a report about yes and no."""
    assert found.people is not None and found.judge is not None
    assert found.calibrated is not None and found.baseline is not None
    said = [each.judgement.probabilities["positive"][0] for each in graded]
    mostly = [sum(each.people["positive"].values()) * 2 > REVIEWERS for each in graded]
    fits = [truth.find(curve) for curve in list_fits(said, mostly, fit_platt)]
    alpha, error = (statistics.fmean(each) for each in zip(*fits, strict=True))
    texts = [each.text for each in graded]
    truths = ["true" if each else "false" for each in mostly]
    words = [truth.find_guessed(read) for read in list_fits(texts, truths, fit_choices)]
    words_alpha, words_error = (statistics.fmean(each) for each in zip(*words, strict=True))
    for name, interval, value in (
        ("yes or no, people: alpha", found.people.alpha.interval, truth.people_alpha),
        ("yes or no, people: error", found.people.error.interval, truth.people_error),
        ("yes or no, judge: alpha", found.judge.alpha.interval, truth.judge_alpha),
        ("yes or no, judge: error", found.judge.error.interval, truth.judge_error),
        ("yes or no, calibrated: alpha", found.calibrated.alpha.interval, alpha),
        ("yes or no, calibrated: error", found.calibrated.error.interval, error),
        ("yes or no, words: alpha", found.baseline.alpha.interval, words_alpha),
        ("yes or no, words: error", found.baseline.error.interval, words_error),
        (
            "yes or no, difference of alphas",
            found.difference.interval,
            alpha - truth.people_alpha,
        ),
    ):
        tally.add(name, interval, value)


def count_judge(
    truth: Truth, count: int, draws: int
) -> tuple[dict[str, float], Counter[str], Counter[str], float]:
    """The coverages, the verdicts on numbers and on choices, and how narrow PPI is."""
    tally, widths = Tally(), []
    verdicts: Counter[str] = Counter()
    of_choices: Counter[str] = Counter()
    choice_truth = ChoiceTruth(truth)
    draw = random.Random(f"{truth.judge.name} {count}")
    for _ in range(draws):
        graded = draw_graded(truth.snippets, truth.judge, count, draw)
        found = measure_numbers(MOOD, graded, model="bench")
        verdicts[found.verdict] += 1
        count_numbers(tally, truth, graded, found)
        choice = measure_choices(POSITIVE, graded, model="bench")
        of_choices[choice.verdict] += 1
        count_choices(tally, choice_truth, graded, choice)
        widths.append(count_estimates(tally, truth, graded, draw))
        count_drawn(tally, truth, count, draw)
    return tally.list_shares(), verdicts, of_choices, statistics.fmean(widths)


# ---- Estimates for all traffic ----------------------------------------------------------------

RARE = HIGHEST - 1
"""Few people give more than this."""


def count_estimates(
    tally: Tally, truth: Truth, graded: Sequence[GradedCompletion], draw: random.Random
) -> float:
    """Means and shares by people alone, and with the judge. Returns how narrow the latter is."""
    others = draw.choices([*truth.scores], k=JUDGED)
    pairs = [
        (statistics.fmean(each.people["mood"].values()), each.judgement.scores["mood"])
        for each in graded
    ]
    alone, both = estimate_both(pairs, others, is_share=False)
    tally.add("mean, people alone", alone, truth.mean)
    tally.add("mean, with the judge", both, truth.mean)
    # One person each: a share of 0 and 1.
    shares = [
        (float(next(iter(each.people["mood"].values())) > RARE), to_share(score, RARE + 0.5))
        for each, (_, score) in zip(graded, pairs, strict=True)
    ]
    rare = statistics.fmean(
        statistics.fmean(rating > RARE for rating in each) for each in truth.ratings
    )
    tells = [to_share(score, RARE + 0.5) for score in others]
    found = estimate_both(shares, tells, is_share=True)
    tally.add("share of a rare option, people alone", found[0], rare)
    tally.add("share of a rare option, with the judge", found[1], rare)
    assert alone is not None and both is not None
    return both.half_width / alone.half_width


def estimate_both(
    pairs: Sequence[tuple[float, float]], others: Sequence[float], *, is_share: bool
) -> tuple[Interval | None, Interval | None]:
    """By people alone, and with the judge."""
    alone = estimate_mean([value for value, _ in pairs], is_share=is_share)
    return _read(alone), _read(estimate_with_predictions(pairs, others, is_share=is_share))


def _read(found: Estimate | None) -> Interval | None:
    assert found is not None
    return found.interval


def count_drawn(tally: Tally, truth: Truth, count: int, draw: random.Random) -> None:
    """The same where people are asked first about what tells most: of 1,000 that were judged."""
    places = draw.sample(range(len(truth.snippets)), 1_000)
    means = [statistics.fmean(draw.sample(truth.ratings[at], REVIEWERS)) for at in places]
    scores = [float(truth.scores[at]) for at in places]
    # A judge is unsure in the middle of the scale.
    information = [1 - abs(score - NEUTRAL) / 4 for score in scores]
    middle = statistics.fmean(information)
    chances = [find_chance(each, mean=middle) for each in information]
    turns = [find_turn(each, 1 - draw.random()) for each in chances]
    first = sorted(range(len(places)), key=turns.__getitem__)[:count]
    weights = list_weights(
        [Draw(0.0, 1.0 + n, chances[at], turns[at]) for n, at in enumerate(first)]
    )
    drawn = set(first)
    others = [score for at, score in enumerate(scores) if at not in drawn]
    known = [means[at] for at in first]
    pairs = list(zip(known, (scores[at] for at in first), strict=True))
    mean = statistics.fmean(truth.snippets[at].mean for at in places)
    alone = estimate_mean(known, weights=weights)
    both = estimate_with_predictions(pairs, others, weights=weights)
    tally.add("weighted mean, people alone", _read(alone), mean)
    tally.add("weighted mean, with the judge", _read(both), mean)


# ---- Evals ------------------------------------------------------------------------------------


def _flip(chance: float, draw: random.Random) -> float:
    return float(draw.random() < chance)


def count_evals(count: int, draws: int) -> dict[str, float]:
    """The intervals of eval reports, thresholds of tests, and prompts' versions."""
    tally = Tally()
    for seed in range(draws):
        draw = random.Random(f"evals {count} {seed}")
        for name, (truth, cases) in _list_means(count, draw).items():
            found = mean_of_clusters(cases)
            tally.add(name, None if found is None else found.interval, truth)
        for name, (truth, pairs) in _list_pairs(count, draw).items():
            difference = compare_pairs(pairs)
            tally.add(name, None if difference is None else difference.interval, truth)
        before = [draw.lognormvariate(0, 0.7) for _ in range(count)]
        now = [draw.lognormvariate(0.2, 0.7) for _ in range(count)]
        moved = compare_means(before, now)
        assert moved is not None
        truth = math.exp(0.2 + 0.245) - math.exp(0.245)
        tally.add("prompts: difference of costs", moved.interval, truth)
    return tally.list_shares()


def _list_means(
    count: int, draw: random.Random
) -> Mapping[str, tuple[float, Sequence[Sequence[float]]]]:
    """Scores of samples, whose true mean is known."""
    hard = [draw.betavariate(0.5, 0.5) for _ in range(count)]
    easy = [draw.betavariate(3.6, 0.4) for _ in range(count)]
    return {
        "eval: half are right": (0.5, [[_flip(0.5, draw)] for _ in hard]),
        "eval: 90 % are right": (0.9, [[_flip(0.9, draw)] for _ in hard]),
        "eval: 97 % are right": (0.97, [[_flip(0.97, draw)] for _ in hard]),
        "eval: 4 answers a sample, half right": (
            0.5,
            [[_flip(share, draw) for _ in range(4)] for share in hard],
        ),
        "eval: 4 answers a sample, 90 % right": (
            0.9,
            [[_flip(share, draw) for _ in range(4)] for share in easy],
        ),
        "eval: scores between 0 and 1": (0.2, [[draw.betavariate(0.4, 1.6)] for _ in hard]),
    }


def _list_pairs(
    count: int, draw: random.Random
) -> Mapping[str, tuple[float, Sequence[tuple[Sequence[float], Sequence[float]]]]]:
    """Scores of two targets on the same samples, whose true difference is known."""
    hard = [draw.betavariate(0.5, 0.5) for _ in range(count)]
    return {
        "eval: difference of right answers": (
            0.05,
            [([_flip(0.9 * h, draw)], [_flip(0.9 * h + 0.1 * h, draw)]) for h in hard],
        ),
        "eval: difference, two good targets": (
            0.02,
            [([_flip(0.95, draw)], [_flip(0.97, draw)]) for _ in hard],
        ),
        "eval: difference, 4 answers each": (
            0.05,
            [
                (
                    [_flip(0.9 * h, draw) for _ in range(4)],
                    [_flip(0.9 * h + 0.1 * h, draw) for _ in range(4)],
                )
                for h in hard
            ],
        ),
        "eval: difference of scores": (
            0.05,
            [([draw.betavariate(2, 2)], [draw.betavariate(2.2, 1.8)]) for _ in hard],
        ),
    }


# ---- The table --------------------------------------------------------------------------------


class Cell(msgspec.Struct):
    """What was counted for one number of grades: of one judge and set, or of evals."""

    name: str
    count: int
    draws: int
    coverage: dict[str, float]
    verdicts: dict[str, int] = {}
    of_choices: dict[str, int] = {}
    width: float | None = None
    """How wide the interval of the mean with the judge is, beside that of people alone."""


def measure_cell(name: str, count: int, draws: int, truth: Callable[[], Truth] | None) -> Cell:
    """One part of the table."""
    if truth is None:
        return Cell(name, count, draws, count_evals(count, draws))
    coverage, verdicts, of_choices, width = count_judge(truth(), count, draws)
    return Cell(name, count, draws, coverage, dict(verdicts), dict(of_choices), width)


def write_coverage(cells: Sequence[Cell]) -> Iterator[str]:
    """For each interval and number of grades: the mean coverage, then the least and the most."""
    counts = sorted({cell.count for cell in cells})
    yield f"| | {' | '.join(f'{count}' for count in counts)} |"
    yield "|---|" + "---|" * len(counts)
    for name in dict.fromkeys(name for cell in cells for name in cell.coverage):
        shown = []
        for count in counts:
            found = [c.coverage[name] for c in cells if c.count == count and name in c.coverage]
            shown.append(show_shares(found) if found else "")
        yield f"| {name} | {' | '.join(shown)} |"


def show_shares(shares: Sequence[float]) -> str:
    """Their mean, with the ends if there are several."""
    mean = f"{100 * statistics.fmean(shares):.1f} %"
    if len(shares) == 1:
        return mean
    return f"{mean} ({100 * min(shares):.1f} to {100 * max(shares):.1f})"
