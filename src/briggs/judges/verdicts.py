"""What a report about a judge says: figures, a verdict, and one plain sentence for each field."""

from __future__ import annotations

import math
from typing import Literal

import msgspec

from briggs.estimates.calibration import Point
from briggs.judges.figures import TrustFigure
from briggs.types.fields import Field
from briggs.types.judges import FailureCount
from briggs.types.texts import count_of

MARGIN = 0.1
"""An alpha that is lower by up to this much still counts as as good."""
SHARED_MIN = 10
NEEDED_AT_FIRST = 60
"""How many are needed, as long as there are too few to compute it."""

TrustVerdict = Literal["as_good", "worse", "too_few", "nobody_twice", "not_judged"]


class TrustSide(msgspec.Struct, kw_only=True, frozen=True):
    """How well somebody agrees with people."""

    alpha: TrustFigure
    error: TrustFigure
    """The mean absolute error of numbers; of choices, the share of pairs that differ."""
    kappa: float | None = None
    """Cohen's kappa over all pairs, for choices."""


class Calibration(msgspec.Struct, kw_only=True, frozen=True):
    """Whether what the judge says means what it says, before and after calibration."""

    method: Literal["line", "isotonic", "platt", "temperature"]
    error_before: float | None
    """The expected calibration error, in units of the field; of choices, in probability."""
    error_after: float | None
    """The same by cross-fitting: no grade takes part in its own calibration."""
    before: list[Point]
    after: list[Point]


class Bias(msgspec.Struct, kw_only=True, frozen=True):
    """What moves a judge away from people although it should not."""

    name: Literal["length", "own_family"]
    figure: TrustFigure
    is_found: bool
    sentence: str


class FieldTrust(msgspec.Struct, kw_only=True, frozen=True):
    """How far a judge can be trusted with one field."""

    name: str
    kind: Literal["number", "choice"]
    graded: int
    """Completions that people graded and the judge judged."""
    shared: int
    """Those of them that two or more people graded. People and judge are compared on these."""
    verdict: TrustVerdict
    sentence: str
    needed: int | None
    """About how many shared completions would do, if there are too few."""
    people: TrustSide | None
    """People among each other, on the shared completions."""
    judge: TrustSide | None
    """The judge against people, as it answers, on all graded completions."""
    calibrated: TrustSide | None
    """The same with scores on the people's scale, by cross-fitting. The verdict is about this."""
    difference: TrustFigure
    """The alpha of the judge on the people's scale, less that of people, on the shared ones."""
    baseline: TrustSide | None
    """A guess by the words of the text, learnt from the same grades without a model."""
    beats_baseline: bool | None
    """Whether the judge's error is lower with 95 % certainty. None if nothing can be said."""
    correlation: TrustFigure
    """Of the judge's score and the mean of people. None for choices."""
    calibration: Calibration | None
    biases: list[Bias]


class Suggestions(msgspec.Struct, kw_only=True, frozen=True):
    """What people did with what a version suggested. None of this is a grade."""

    accepted: int = 0
    edited: int = 0
    rejected: int = 0
    agreed: int = 0
    """Answers to blind tasks that were the same before the suggestion was seen."""
    seen_first: int = 0
    """Grades of people, for this form of the task, that were given while they saw a suggestion of
    any version."""


class Trust(msgspec.Struct, kw_only=True, frozen=True):
    """A report about one version of a judge. What it lacks comes first."""

    judge_id: str
    version: int
    lacking: int
    """Completions that people graded and that have no judgement."""
    failures: dict[str, int]
    """How many of these failed, by reason."""
    failed: list[FailureCount]
    """All judgements of the version that failed, also of what nobody graded, the most frequent
    reason first."""
    graded: int
    weighted: bool
    """Whether some were asked about in the order `informative`. Each then has the weight of what it
    stands for."""
    fields: list[FieldTrust]
    left_out: list[str]
    """Fields of text and lists, and those after the first 50, which are not compared."""
    suggestions: Suggestions
    with_suggested: bool
    """Whether the grades count that were given while a suggestion was seen."""


def conclude(
    difference: TrustFigure, *, shared: int, beats_baseline: bool | None
) -> tuple[TrustVerdict, str, int | None]:
    """The verdict, its sentence, and about how many completions would do if there are too few."""
    verdict, sentence, needed = _compare(difference, shared=shared)
    if beats_baseline is False and verdict != "worse":
        sentence += " A guess by the words alone, without a model, is not clearly worse."
    return verdict, sentence, needed


def is_lower(difference: TrustFigure, *, count: int) -> bool | None:
    """Whether a difference of errors is certainly below 0. None if there are too few to say."""
    if difference.interval is None or count < SHARED_MIN:
        return None
    return difference.interval.high < 0


def _compare(difference: TrustFigure, *, shared: int) -> tuple[TrustVerdict, str, int | None]:
    interval, value = difference.interval, difference.value
    if shared == 0:
        return (
            "nobody_twice",
            "No completion was graded by two people, so there is nothing to compare the judge "
            f"with: let a second reviewer grade about {NEEDED_AT_FIRST}.",
            NEEDED_AT_FIRST,
        )
    if shared < SHARED_MIN or interval is None or value is None:
        needed = max(NEEDED_AT_FIRST, shared + 1)
        return "too_few", _say_too_few(shared, needed), needed
    if interval.low >= -MARGIN:
        return "as_good", "As good as a second reviewer.", None
    if interval.high < 0 and value < -MARGIN:
        return (
            "worse",
            "Worse than your reviewers agree among themselves: do not rely on it.",
            None,
        )
    # So narrow an interval would lie on one side.
    wanted = -value if value < -MARGIN else value + MARGIN
    needed = max(math.ceil(shared * (interval.half_width / wanted) ** 2), shared + 1)
    return "too_few", _say_too_few(shared, needed), needed


def _say_too_few(shared: int, needed: int) -> str:
    return f"Too few grades to say ({shared}; about {needed} needed)."


def say_unjudged(field: FieldTrust, lacking: int) -> FieldTrust:
    """The report about a field of which people graded completions, and the judge judged none."""
    graded = count_of(lacking, "completion")
    sentence = f"Nothing to compare yet: it has judged none of the {graded} that people graded."
    if lacking == 1:
        sentence = "Nothing to compare yet: it has not judged what people graded."
    return msgspec.structs.replace(field, verdict="not_judged", sentence=sentence)


def say_nothing(field: Field, kind: Literal["number", "choice"]) -> FieldTrust:
    """The report about a field that nobody graded, or the judge did not."""
    return FieldTrust(
        name=field.name,
        kind=kind,
        graded=0,
        shared=0,
        verdict="too_few",
        sentence=_say_too_few(0, NEEDED_AT_FIRST),
        needed=NEEDED_AT_FIRST,
        people=None,
        judge=None,
        calibrated=None,
        difference=TrustFigure(None),
        baseline=None,
        beats_baseline=None,
        correlation=TrustFigure(None),
        calibration=None,
        biases=[],
    )
