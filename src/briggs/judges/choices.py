"""How far a judge can be trusted with a choice, or with yes and no."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from statistics import fmean
from typing import Literal, NamedTuple

from briggs.estimates import calibration
from briggs.estimates.agreement import (
    alpha_of_tallies,
    cohens_kappa,
    tally_between,
    tally_within,
)
from briggs.estimates.calibration import cross_fit, expected_error, list_points
from briggs.estimates.intervals import Resampled, SumRow
from briggs.judges import baseline
from briggs.judges.biases import find_biases
from briggs.judges.figures import TrustFigure, ask_alpha, ask_difference, ask_mean, measure_all
from briggs.judges.graded import GradedCompletion, read_said
from briggs.judges.reading import list_options
from briggs.judges.verdicts import (
    Bias,
    Calibration,
    FieldTrust,
    TrustSide,
    conclude,
    is_lower,
    say_nothing,
)
from briggs.types.fields import Field
from briggs.types.ratings import show


class _Choice(NamedTuple):
    """One graded completion, as choices."""

    people: list[str]
    said: str
    shares: list[float]
    """The judge's probability of each option."""
    graded: GradedCompletion


def measure_choices(field: Field, graded: Sequence[GradedCompletion], *, model: str) -> FieldTrust:
    """The report about a field of choices."""
    options = [show(option) for option in list_options(field)]
    choices = _list_choices(field, graded, options)
    if not choices:
        return say_nothing(field, "choice")
    people = [each.people for each in choices]
    weights = [each.graded.weight for each in choices]
    said = [each.said for each in choices]
    truths = [max(options, key=each.count) for each in people]
    method, fitted = calibrate_choices([each.shares for each in choices], truths, options=options)
    calibrated = [_find_best(shares, options) for shares in fitted]
    guesses: list[str] = cross_fit(
        [each.graded.text for each in choices], truths, fit=baseline.fit_choices
    )
    shared = [place for place, each in enumerate(people) if len(each) > 1]
    within = [tally_within(people[place], options=options) for place in shared]
    between = [tally_between(calibrated[place], people[place], options=options) for place in shared]
    their_alpha, their_error, difference = measure_all(
        [
            ask_alpha(within, alpha_of_tallies),
            ask_mean([_measure_apart(people[place]) for place in shared]),
            ask_difference(within, between, alpha_of_tallies, unseen=_list_unseen(options)),
        ],
        weights=[weights[place] for place in shared],
    )
    errors, base_errors = _list_misses(people, calibrated), _list_misses(people, guesses)
    ask = partial(_ask_alpha, people, options)
    figures = measure_all(
        [
            ask(said),
            ask_mean(_list_misses(people, said)),
            ask(calibrated),
            ask_mean(errors),
            ask(guesses, widening=baseline.CHOICES_WIDENING),
            ask_mean(base_errors, widening=baseline.CHOICES_WIDENING),
            ask_mean([one - other for one, other in zip(errors, base_errors, strict=True)]),
        ],
        weights=weights,
    )
    before, after = (
        _list_points(people, shares, options)
        for shares in ([each.shares for each in choices], fitted)
    )
    beats = is_lower(figures[6], count=len(choices))
    verdict, sentence, needed = conclude(difference, shared=len(shared), beats_baseline=beats)
    return FieldTrust(
        name=field.name,
        kind="choice",
        graded=len(choices),
        shared=len(shared),
        verdict=verdict,
        sentence=sentence,
        needed=needed,
        people=TrustSide(
            alpha=their_alpha,
            error=their_error,
            kappa=cohens_kappa([pair for place in shared for pair in _pair(people[place])]),
        )
        if shared
        else None,
        judge=_side(people, said, figures[0], figures[1]),
        calibrated=_side(people, calibrated, figures[2], figures[3]),
        difference=difference,
        baseline=_side(people, guesses, figures[4], figures[5]),
        beats_baseline=beats,
        correlation=TrustFigure(None),
        calibration=Calibration(
            method=method,
            error_before=expected_error(before),
            error_after=expected_error(after),
            before=before,
            after=after,
        ),
        biases=_find_biases(choices, options, model=model),
    )


def calibrate_choices(
    shares: Sequence[Sequence[float]], truths: Sequence[str], *, options: Sequence[str]
) -> tuple[Literal["platt", "temperature"], list[list[float]]]:
    """The probabilities of options, as the others' grades calibrate them."""
    if len(options) == 2:
        firsts = [truth == options[0] for truth in truths]
        fitted = cross_fit([each[0] for each in shares], firsts, fit=calibration.fit_platt)
        return "platt", [[share, 1 - share] for share in fitted]
    places = [options.index(truth) for truth in truths]

    def fit(
        said: Sequence[Sequence[float]], true: Sequence[int]
    ) -> Callable[[Sequence[float]], list[float]]:
        temperature = calibration.fit_temperature(said, true)
        return lambda each: calibration.temper(each, temperature)

    return "temperature", cross_fit(shares, places, fit=fit)


def _list_choices(
    field: Field, graded: Sequence[GradedCompletion], options: Sequence[str]
) -> list[_Choice]:
    choices = []
    for each in graded:
        people = [show(value) for value in each.people[field.name].values()]
        people = [value for value in people if value in options]
        said = show(read_said(field, each.judgement))
        shares = each.judgement.probabilities.get(field.name, [])
        if people and said in options and len(shares) == len(options):
            choices.append(_Choice(people, said, shares, each))
    return choices


def _find_best(shares: Sequence[float], options: Sequence[str]) -> str:
    return options[max(range(len(options)), key=shares.__getitem__)]


def _ask_alpha(
    people: Sequence[Sequence[str]],
    options: Sequence[str],
    values: Sequence[str],
    *,
    widening: float = 1.0,
) -> Resampled:
    rows = [
        tally_between(value, each, options=options)
        for value, each in zip(values, people, strict=True)
    ]
    return ask_alpha(rows, alpha_of_tallies, widening=widening)


def _list_unseen(options: Sequence[str]) -> list[SumRow]:
    """Two completions that few grades may not have shown: people differ, and the judge does.

    If everybody agreed on 20 completions, the 21st may still be the first of its kind.
    """
    one, other = options[0], options[-1]
    split = [one, one, other]
    return [
        [*tally_within([one, one], options=options), *tally_between(other, [one], options=options)],
        [*tally_within(split, options=options), *tally_between(one, split, options=options)],
    ]


def _side(
    people: Sequence[Sequence[str]], values: Sequence[str], alpha: TrustFigure, error: TrustFigure
) -> TrustSide:
    pairs = [(v, person) for v, each in zip(values, people, strict=True) for person in each]
    return TrustSide(alpha=alpha, error=error, kappa=cohens_kappa(pairs))


def _list_misses(people: Sequence[Sequence[str]], values: Sequence[str]) -> list[float]:
    """The share of people who said something else, for each."""
    return [1 - each.count(value) / len(each) for value, each in zip(values, people, strict=True)]


def _measure_apart(people: Sequence[str]) -> float:
    """The share of pairs of people who differ."""
    return fmean(one != other for one, other in _pair(people))


def _pair(people: Sequence[str]) -> list[tuple[str, str]]:
    return [(one, other) for place, one in enumerate(people) for other in people[:place]]


def _list_points(
    people: Sequence[Sequence[str]], shares: Sequence[Sequence[float]], options: Sequence[str]
) -> list[calibration.Point]:
    """How sure the judge was of its most likely option, and how many people gave it."""
    best = [_find_best(each, options) for each in shares]
    hits = [1 - miss for miss in _list_misses(people, best)]
    return list_points([max(each) for each in shares], hits)


def _find_biases(choices: Sequence[_Choice], options: Sequence[str], *, model: str) -> list[Bias]:
    """Of yes and no, whether it says the first option more often than people do."""
    if len(options) != 2:
        return []
    return find_biases(
        [
            (each.graded, each.shares[0] - each.people.count(options[0]) / len(each.people))
            for each in choices
        ],
        model=model,
    )
