"""Counts which sentences a report says of judges whose worth is known, and whether they are right.

Wrong is "as good as a second reviewer" of a judge whose alpha is more than 0.1 below that of
people, and "worse" of a judge whose alpha is not below it.
"""

from __future__ import annotations

import random
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from bench.snippets import HIGHEST, LOWEST, Snippet
from briggs.estimates.agreement import alpha_of_spreads, spread_between, spread_within
from briggs.estimates.calibration import cross_fit, fit_scale
from briggs.judges.figures import ask_difference, measure_all
from briggs.judges.verdicts import MARGIN, conclude

NEUTRAL = (LOWEST + HIGHEST) / 2
REVIEWERS = 3
VERDICTS = ("as_good", "worse", "too_few")
GAPS = (0.05, 0.0, -0.05, -0.1, -0.2, -0.4)
"""How far the alpha of a simulated judge is above that of people."""


class Judge(NamedTuple):
    """What a judge says of each snippet, and how far its alpha is above that of people."""

    name: str
    snippets: Sequence[Snippet]
    scores: Sequence[float]
    gap: float


class Sentences(msgspec.Struct):
    """How often each sentence was said of a judge, of so many draws."""

    set: str
    judge: str
    gap: float
    count: int
    draws: int
    verdicts: dict[str, int]
    covered: int
    """How often the interval of the difference had the true one in it."""


def simulate(snippets: Sequence[Snippet], gap: float) -> Judge:
    """A judge with as much noise as it takes to be so far from people, on a scale of its own."""
    low, high = 0.0, 8.0
    for _ in range(12):
        noise = (low + high) / 2
        low, high = (
            (noise, high) if _find_gap(snippets, _say(snippets, noise)) > gap else (low, noise)
        )
    scores = _say(snippets, low)
    return Judge(f"{gap:+.2f}", snippets, scores, _find_gap(snippets, scores))


def ask_person(snippets: Sequence[Snippet]) -> Judge:
    """One of the people as the judge, which is what "as good" means."""
    draw = random.Random(3)
    scores = [float(draw.choice(each.ratings)) for each in snippets]
    return know("a person", snippets, scores)


def know(name: str, snippets: Sequence[Snippet], scores: Sequence[float]) -> Judge:
    """A real judge, by what it said of some snippets."""
    return Judge(name, snippets, scores, _find_gap(snippets, scores))


def count_sentences(set: str, judge: Judge, count: int, draws: int) -> Sentences:
    """What is said of a judge after so many snippets with three people's grades each."""
    draw = random.Random(f"{judge.name} {count}")
    verdicts: Counter[str] = Counter()
    covered = 0
    for _ in range(draws):
        places = draw.choices(range(len(judge.snippets)), k=count)
        people = [
            [*map(float, draw.sample(judge.snippets[at].ratings, REVIEWERS))] for at in places
        ]
        middle = statistics.fmean(value for each in people for value in each)
        people = [[value - middle for value in each] for each in people]
        scaled = cross_fit([judge.scores[at] for at in places], people, fit=fit_scale)
        within = [spread_within(each) for each in people]
        between = [spread_between(one, each) for one, each in zip(scaled, people, strict=True)]
        [difference] = measure_all([ask_difference(within, between, alpha_of_spreads)])
        verdict, _, _ = conclude(difference, shared=count, beats_baseline=True)
        verdicts[verdict] += 1
        interval = difference.interval
        covered += interval is not None and interval.low <= judge.gap <= interval.high
    return Sentences(set, judge.name, judge.gap, count, draws, dict(verdicts), covered)


def _say(snippets: Sequence[Snippet], noise: float) -> list[float]:
    draw = random.Random(7)
    return [3 + 0.5 * (each.mean + draw.gauss(0, noise)) for each in snippets]


def _find_gap(snippets: Sequence[Snippet], scores: Sequence[float]) -> float:
    """The difference of the two alphas over all snippets and all people."""
    people = [[float(each) - NEUTRAL for each in snippet.ratings] for snippet in snippets]
    scale = fit_scale(scores, people)
    between = [
        spread_between(scale(score), each) for score, each in zip(scores, people, strict=True)
    ]
    return _alpha(between) - _alpha([spread_within(each) for each in people])


def _alpha(rows: Sequence[Sequence[float]]) -> float:
    found = alpha_of_spreads([sum(column) for column in zip(*rows, strict=True)])
    assert found is not None
    return found


def is_wrong(verdict: str, gap: float) -> bool:
    """Whether a sentence is wrong."""
    return (verdict == "as_good" and gap < -MARGIN - 0.005) or (verdict == "worse" and gap >= 0)


def write_sentences(found: Sequence[Sentences]) -> Iterator[str]:
    """A line for each judge and number of grades."""
    yield (
        "| judge's alpha less people's | completions | as good as a second reviewer | worse "
        "| too few to say | wrong | interval holds |"
    )
    yield "|---|---|---|---|---|---|---|"
    for each in found:
        shares = [each.verdicts.get(verdict, 0) / each.draws for verdict in VERDICTS]
        wrong = sum(
            count for verdict, count in each.verdicts.items() if is_wrong(verdict, each.gap)
        )
        shown = " | ".join(f"{100 * share:.1f} %" for share in shares)
        name = f"{each.set.removesuffix('ReviewSnippets')}, {each.gap:+.2f}"
        name += "" if each.judge[0] in "+-" else f" ({each.judge})"
        wrongs, holds = (100 * number / each.draws for number in (wrong, each.covered))
        yield f"| {name} | {each.count} | {shown} | {wrongs:.1f} % | {holds:.1f} % |"
