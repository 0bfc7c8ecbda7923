"""How far a judge can be trusted with a number, such as a scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean
from typing import Literal, NamedTuple

from briggs.estimates import calibration
from briggs.estimates.agreement import alpha_of_spreads, spread_between, spread_within
from briggs.estimates.calibration import cross_fit, expected_error, find_widening, list_points
from briggs.estimates.intervals import Resampled
from briggs.judges import baseline
from briggs.judges.biases import find_biases
from briggs.judges.figures import ask_alpha, ask_correlation, ask_difference, ask_mean, measure_all
from briggs.judges.graded import GradedCompletion, read_number
from briggs.judges.verdicts import (
    Calibration,
    FieldTrust,
    TrustSide,
    conclude,
    is_lower,
    say_nothing,
)
from briggs.types.fields import Field

ISOTONIC_MIN = 100
"""With fewer grades, steps follow chance."""


class _Number(NamedTuple):
    """One graded completion, as numbers less the mean of all people."""

    people: list[float]
    said: float
    """What the judge answered."""
    score: float
    """What it expects, over its probabilities."""
    graded: GradedCompletion


def measure_numbers(field: Field, graded: Sequence[GradedCompletion], *, model: str) -> FieldTrust:
    """The report about a field of numbers."""
    middle = fmean([float(v) for g in graded for v in g.people[field.name].values()] or [0.0])
    numbers = _list_numbers(field, graded, middle)
    if not numbers:
        return say_nothing(field, "number")
    people = [each.people for each in numbers]
    weights = [each.graded.weight for each in numbers]
    scores, means = [each.score for each in numbers], [fmean(each) for each in people]
    scaled = cross_fit(scores, people, fit=calibration.fit_scale)
    method, calibrated = calibrate_numbers(scores, means)
    texts = [each.graded.text for each in numbers]
    guesses = cross_fit(texts, means, fit=baseline.fit_numbers, alike=means)
    shared = [place for place, each in enumerate(people) if len(each) > 1]
    within = [spread_within(people[place]) for place in shared]
    between = [spread_between(scaled[place], people[place]) for place in shared]
    their_alpha, their_error, difference = measure_all(
        [
            ask_alpha(within, alpha_of_spreads),
            ask_mean([_measure_apart(people[place]) for place in shared]),
            ask_difference(within, between, alpha_of_spreads),
        ],
        weights=[weights[place] for place in shared],
    )
    errors, base_errors = _list_errors(people, calibrated), _list_errors(people, guesses)
    figures = measure_all(
        [
            _ask_alpha(people, [each.said for each in numbers]),
            ask_mean(_list_errors(people, [each.said for each in numbers])),
            _ask_alpha(people, scaled),
            ask_mean(errors),
            _ask_alpha(people, guesses, widening=find_widening(len(guesses))),
            ask_mean(base_errors),
            ask_mean([one - other for one, other in zip(errors, base_errors, strict=True)]),
            ask_correlation(list(zip(scores, means, strict=True))),
        ],
        weights=weights,
    )
    before, after = (
        list_points([x + middle for x in said], [y + middle for y in means])
        for said in (scores, calibrated)
    )
    beats = is_lower(figures[6], count=len(numbers))
    verdict, sentence, needed = conclude(difference, shared=len(shared), beats_baseline=beats)
    return FieldTrust(
        name=field.name,
        kind="number",
        graded=len(numbers),
        shared=len(shared),
        verdict=verdict,
        sentence=sentence,
        needed=needed,
        people=TrustSide(alpha=their_alpha, error=their_error) if shared else None,
        judge=TrustSide(alpha=figures[0], error=figures[1]),
        calibrated=TrustSide(alpha=figures[2], error=figures[3]),
        difference=difference,
        baseline=TrustSide(alpha=figures[4], error=figures[5]),
        beats_baseline=beats,
        correlation=figures[7],
        calibration=Calibration(
            method=method,
            error_before=expected_error(before),
            error_after=expected_error(after),
            before=before,
            after=after,
        ),
        biases=find_biases(
            [
                (each.graded, score - mean)
                for each, score, mean in zip(numbers, scores, means, strict=True)
            ],
            model=model,
        ),
    )


def calibrate_numbers(
    scores: Sequence[float], means: Sequence[float]
) -> tuple[Literal["line", "isotonic"], list[float]]:
    """The method with the smaller error, and the scores as the others' grades calibrate them."""
    line = cross_fit(scores, means, fit=calibration.fit_line)
    if len(scores) < ISOTONIC_MIN:
        return "line", line
    steps = cross_fit(scores, means, fit=calibration.fit_isotonic)
    squares = [
        math.fsum((value - mean) ** 2 for value, mean in zip(each, means, strict=True))
        for each in (line, steps)
    ]
    # A line is kept unless the steps are clearly better, for they may follow chance.
    return ("isotonic", steps) if squares[1] < 0.98 * squares[0] else ("line", line)


def _list_numbers(field: Field, graded: Sequence[GradedCompletion], middle: float) -> list[_Number]:
    numbers = []
    for each in graded:
        said = read_number(field, each.judgement)
        score = each.judgement.scores.get(field.name, said)
        if said is not None and score is not None:
            people = [float(value) - middle for value in each.people[field.name].values()]
            numbers.append(_Number(people, said - middle, score - middle, each))
    return numbers


def _ask_alpha(
    people: Sequence[Sequence[float]], values: Sequence[float], *, widening: float = 1.0
) -> Resampled:
    rows = [spread_between(value, each) for value, each in zip(values, people, strict=True)]
    return ask_alpha(rows, alpha_of_spreads, widening=widening)


def _list_errors(people: Sequence[Sequence[float]], values: Sequence[float]) -> list[float]:
    """How far each value is from a person's, on average."""
    return [
        fmean(abs(person - value) for person in each)
        for value, each in zip(values, people, strict=True)
    ]


def _measure_apart(people: Sequence[float]) -> float:
    """How far two people are apart, on average over their pairs."""
    return fmean(abs(a - b) for place, a in enumerate(people) for b in people[:place])
