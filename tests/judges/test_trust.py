"""Trust: the sentence is right about judges whose quality is known."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest

from briggs.estimates.intervals import Interval
from briggs.judges.baseline import fit_choices, fit_numbers
from briggs.judges.biases import find_family
from briggs.judges.choices import measure_choices
from briggs.judges.figures import TrustFigure, ask_apart, ask_correlation, ask_mean, measure_all
from briggs.judges.graded import FIELDS_MAX, GradedCompletion, read_said
from briggs.judges.numbers import measure_numbers
from briggs.judges.summaries import summarise
from briggs.judges.trust import report
from briggs.judges.verdicts import FieldTrust, conclude, say_nothing
from briggs.types.forms import read_form
from briggs.types.judges import Judgement, JudgeVersion

SCHEMA: dict[str, Any] = {
    "properties": {
        "stars": {"type": "integer", "minimum": 1, "maximum": 5},
        "safe": {"type": "boolean"},
        "tone": {"enum": ["kind", "dull", "rude"]},
        "note": {"type": "string"},
    }
}
FIELDS = {field.name: field for field in read_form(SCHEMA).fields}


def create_judgement(**members: Any) -> Judgement:
    return Judgement(
        organization_id="o",
        judge_id="j",
        version=1,
        completion_id=str(random.random()),
        status="finished",
        **members,
    )


def draw_numbers(
    count: int,
    judge: Callable[[float, random.Random], float],
    *,
    reviewers: int = 2,
    spread: float = 0.6,
) -> list[GradedCompletion]:
    """Completions whose true number is known to the judge; people are off by some spread."""
    draw = random.Random(7)
    graded = []
    for place in range(count):
        true = draw.uniform(1, 5)
        people = {str(n): _round(true + draw.gauss(0, spread)) for n in range(reviewers)}
        score = judge(true, draw)
        said = create_judgement(scores={"stars": score}, json_values={"stars": _round(score)})
        model = "gpt-5" if place % 2 else "claude-9"
        text = "good " * round(true) + f"text {place}"
        graded.append(GradedCompletion({"stars": people}, said, text, 10 + place % 7, model))
    return graded


def _round(value: float) -> int:
    return round(min(max(value, 1), 5))


def measure(graded: Sequence[GradedCompletion]) -> FieldTrust:
    return measure_numbers(FIELDS["stars"], graded, model="openai/gpt-4o")


def test_a_good_judge_is_as_good_as_a_second_reviewer() -> None:
    """Its alpha is that of people, and every figure has its interval."""
    found = measure(draw_numbers(150, lambda true, draw: true + draw.gauss(0, 0.3)))
    assert found.verdict == "as_good" and found.sentence.startswith("As good as a second reviewer.")
    assert (found.graded, found.shared, found.needed) == (150, 150, None)
    assert found.people is not None and found.judge is not None and found.calibrated is not None
    for figure in (
        *(found.people.alpha, found.people.error, found.judge.alpha, found.judge.error),
        *(found.calibrated.alpha, found.calibrated.error, found.correlation),
    ):
        assert figure.value is not None and figure.interval is not None
        assert figure.interval.low < figure.value < figure.interval.high
    assert found.correlation.value is not None and found.correlation.value > 0.85


def test_a_shifted_judge_is_good_after_calibration() -> None:
    """As it answers, it is far off; its calibrated error is small, and so is the other error."""
    found = measure(draw_numbers(150, lambda true, draw: 3 + 0.4 * true + draw.gauss(0, 0.1)))
    assert found.verdict == "as_good"
    assert found.judge is not None and found.calibrated is not None
    assert (found.judge.alpha.value or 0) < 0.5 < (found.calibrated.alpha.value or 0)
    assert (found.judge.error.value or 0) > 2 * (found.calibrated.error.value or 0)
    assert found.calibration is not None
    assert (found.calibration.error_before or 0) > 1 > 5 * (found.calibration.error_after or 1)


@pytest.mark.parametrize("noise", [2.0, None])
def test_a_bad_judge_is_not_to_be_relied_on(noise: float | None) -> None:
    """One that guesses, and one that always says the same."""

    def judge(true: float, draw: random.Random) -> float:
        return 3.0 if noise is None else true + draw.gauss(0, noise)

    found = measure(draw_numbers(150, judge))
    assert found.verdict == "worse"
    assert found.sentence == (
        "Worse than your reviewers agree among themselves: do not rely on it."
    )
    assert found.beats_baseline is False


def test_few_grades_are_too_few() -> None:
    """How many would do is said, also where nobody graded twice, and where nobody graded."""
    few = measure(draw_numbers(9, lambda true, draw: true))
    assert (few.verdict, few.needed) == ("too_few", 60)
    assert few.sentence.startswith("Too few grades to say (9; about 60 needed).")
    once = measure(draw_numbers(40, lambda true, draw: true, reviewers=1))
    assert once.verdict == "nobody_twice" and once.people is None
    assert once.calibrated is not None and once.calibrated.error.interval is not None
    nothing = measure([])
    assert (nothing.verdict, nothing.graded, nothing.judge) == ("too_few", 0, None)


@pytest.mark.parametrize(
    ("low", "high", "verdict", "needed"),
    [
        (-0.09, 0.2, "as_good", None),
        (-0.4, -0.05, "worse", None),
        # Certainly worse, but perhaps by little.
        (-0.15, -0.01, "too_few", 368),
        # A half-width of 0.3 around -0.05 must shrink to 0.05: to a 36th.
        (-0.35, 0.25, "too_few", 1080),
        (-0.2, 0.2, "too_few", 120),
    ],
)
def test_the_verdict_follows_the_interval(
    low: float, high: float, verdict: str, needed: int | None
) -> None:
    """As good if it is certainly not much worse; worse if that is certain and by much."""
    figure = TrustFigure((low + high) / 2, Interval(low, high))
    found = conclude(figure, shared=30, beats_baseline=True)
    assert found[0] == verdict and found[2] == (needed and pytest.approx(needed, abs=1))


def test_words_may_do_as_well() -> None:
    """A judge that is no better than a guess by the words is told so."""
    _, sentence, _ = conclude(
        TrustFigure(0, Interval(-0.05, 0.05)), shared=30, beats_baseline=False
    )
    assert sentence == (
        "As good as a second reviewer. A guess by the words alone, without a model, is not clearly "
        "worse."
    )


def draw_choices(count: int, right: float, *, name: str = "safe") -> list[GradedCompletion]:
    """The judge says with 90 % what is true with this chance; two people are right with 90 %."""
    draw = random.Random(3)
    options: list[Any] = [True, False] if name == "safe" else ["kind", "dull", "rude"]
    graded = []
    for place in range(count):
        true = draw.choice(options)

        def give(chance: float, true: Any = true) -> Any:
            others = [option for option in options if option is not true]
            return true if draw.random() < chance else draw.choice(others)

        said = give(right)
        rest = 0.1 / (len(options) - 1)
        shares = [0.9 if option is said else rest for option in options]
        judgement = create_judgement(json_values={name: said}, probabilities={name: shares})
        people = {"ann": give(0.9), "ben": give(0.9)}
        graded.append(GradedCompletion({name: people}, judgement, f"text {place} {true}", 10, "m"))
    return graded


def test_choices_have_kappa_and_calibrated_probabilities() -> None:
    """A judge who is right with 70 % and says 90 % is brought down; a good one stays."""
    good = measure_choices(FIELDS["safe"], draw_choices(200, 0.95), model="m")
    assert good.verdict == "as_good" and good.kind == "choice"
    assert good.people is not None and good.judge is not None
    assert 0.5 < (good.people.kappa or 0) < 0.8 < (good.judge.kappa or 0) + 0.1
    assert [bias.name for bias in good.biases] == ["length", "own_family"]
    bad = measure_choices(FIELDS["tone"], draw_choices(200, 0.6, name="tone"), model="m")
    assert bad.verdict == "worse" and bad.biases == []
    assert bad.calibration is not None and bad.calibration.method == "temperature"
    assert (bad.calibration.error_before or 0) > 2 * (bad.calibration.error_after or 1)
    none = measure_choices(FIELDS["safe"], [], model="m")
    assert none.verdict == "too_few"


def test_who_never_differed_may_still_differ() -> None:
    """If a judge and people always agreed on a choice, the interval says how much that tells."""
    graded = []
    for each in draw_choices(20, 1.0):
        said = read_said(FIELDS["safe"], each.judgement)
        graded.append(each._replace(people={"safe": {"ann": said, "ben": said}}))
    found = measure_choices(FIELDS["safe"], graded, model="m")
    assert found.difference.value == 0 and found.difference.interval is not None
    assert found.difference.interval.low < -0.1 and found.verdict == "too_few"


def test_biases_are_found() -> None:
    """A judge that likes long answers, and one that likes its own family; a fair one has none."""
    graded = draw_numbers(200, lambda true, draw: true)
    long = [
        each._replace(
            judgement=create_judgement(
                scores={"stars": each.judgement.scores["stars"] + 0.3 * each.length},
                json_values=each.judgement.json_values,
            )
        )
        for each in graded
    ]
    own = [
        each._replace(
            judgement=create_judgement(
                scores={"stars": each.judgement.scores["stars"] + (each.model == "gpt-5")},
                json_values=each.judgement.json_values,
            )
        )
        for each in graded
    ]
    assert [bias.is_found for bias in measure(graded).biases] == [False, False]
    assert [bias.is_found for bias in measure(long).biases] == [True, False]
    assert [bias.is_found for bias in measure(own).biases] == [False, True]
    assert "own family (gpt) higher" in measure(own).biases[1].sentence
    assert [find_family(name) for name in ("openai/gpt-5-mini", "o3", "42")] == ["gpt", "o", ""]


def test_words_are_learnt_without_a_model() -> None:
    """Ridge regression on the words finds which are good; the nearest texts vote on choices."""
    texts = [f"{word} thing {n}" for n in range(20) for word in ("great", "awful")]
    read = fit_numbers(texts, [5.0, 1.0] * 20)
    assert read("great") > 4 and read("awful") < 2 and read("zebra") == pytest.approx(3)
    assert fit_numbers(["", ""], [1.0, 2.0])("x") == 1.5
    vote = fit_choices(texts, ["yes", "no"] * 20)
    assert (vote("a great one"), vote("awful"), vote("zebra")) == ("yes", "no", "yes")


def test_figures_are_those_of_textbooks() -> None:
    """Pearson's correlation, a mean, and a difference of means."""
    pairs = [(1.0, 2.0), (2.0, 1.0), (3.0, 4.0), (4.0, 3.0)]
    values = measure_all(
        [
            ask_correlation(pairs),
            ask_mean([x for x, _ in pairs]),
            ask_apart([(y > 2, x) for x, y in pairs]),
        ]
    )
    assert [figure.value for figure in values] == [pytest.approx(0.6), 2.5, 2.0]
    flat = measure_all([ask_correlation([(1, 1)] * 5), ask_apart([(True, 1.0)] * 5)])
    assert flat == [TrustFigure(None), TrustFigure(None)]


def test_a_list_says_each_sentence_once() -> None:
    """With all the fields that it is about, in their order."""
    stars, tone = (say_nothing(FIELDS[name], "number") for name in ("stars", "safe"))
    other = msgspec.structs.replace(tone, name="other", verdict="worse", sentence="Worse.")
    said = summarise([stars, other, tone])
    assert [(each.fields, each.sentence) for each in said] == [
        (["stars", "safe"], "Too few grades to say (0; about 60 needed)."),
        (["other"], "Worse."),
    ]


def test_what_lacks_is_counted() -> None:
    """Completions that people graded and the judge did not, with the reasons of failures."""
    version = JudgeVersion(
        organization_id="o",
        judge_id="j",
        version=1,
        model="m",
        task_version=1,
        json_schema=SCHEMA,
        prompt="",
        mark="",
    )
    failed = create_judgement()
    failed.status, failed.failure = "failed", "cut_off"
    waiting = create_judgement()
    waiting.status = "started"
    found = report(version, [], {"a": failed, "b": waiting, "c": create_judgement()})
    assert (found.lacking, found.failures, found.left_out) == (2, {"cut_off": 1}, ["note"])
    assert [field.name for field in found.fields] == ["stars", "safe", "tone"]
    version.json_schema = {"properties": {f"f{n}": {"enum": ["a", "b"]} for n in range(500)}}
    wide = report(version, [], {})
    assert (len(wide.fields), len(wide.left_out)) == (FIELDS_MAX, 500 - FIELDS_MAX)
