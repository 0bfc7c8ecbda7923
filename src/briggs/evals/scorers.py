"""Scores answers. A scorer that fails gives a score without a value, never a zero.

Reasons never quote an answer: a run's scores stay when its completions are deleted.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from briggs.feedback.schemas import InvalidValues, check_schema, check_values
from briggs.record.detectors import compile_pattern
from briggs.types import json
from briggs.types.any_json import members, number, text
from briggs.types.datasets import Sample
from briggs.types.errors import InvalidRequest
from briggs.types.evals import REASON_LENGTH_MAX, SCORERS_MAX, Score, Scorer
from briggs.wires.samples import read_calls

NAME_LENGTH_MAX = 100
PATTERN_LENGTH_MAX = 1_000
COMPARED_MAX = 100_000
"""The longest answer that is compared letter by letter, in characters."""
COMPARED_BY_WORDS_MAX = 20_000
"""The longest for `bleu`, `rouge` and `chrf`, whose work grows with the square of the length."""


class GivenAnswer(NamedTuple):
    """What a target answered."""

    text: str
    tool_calls: Sequence[Mapping[str, Any]] = ()


class _CannotScore(Exception):
    """This answer has no score, for a reason that is to be shown."""


def read_answer(response: Mapping[str, Any]) -> GivenAnswer:
    """The first choice of a `CreateChatCompletionResponse`."""
    choices = response.get("choices")
    choice = members(choices[0]) if isinstance(choices, list) and choices else {}
    message = members(choice.get("message"))
    said = text(message.get("content")) or text(message.get("refusal")) or ""
    return GivenAnswer(said, read_calls(message))


def check_scorers(scorers: Sequence[Scorer]) -> list[Scorer]:
    """The scorers of a new run, each with its name. Raises `InvalidRequest`."""
    if len(scorers) > SCORERS_MAX:
        raise InvalidRequest(f"A run has at most {SCORERS_MAX} scorers.", param="scorers")
    named = [
        each if each.name else msgspec.structs.replace(each, name=each.kind) for each in scorers
    ]
    for each in named:
        _check(each)
    names = [each.name for each in named]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise InvalidRequest(
            f"Two scorers have the name '{twice}': give each a 'name' of its own.", param="scorers"
        )
    return named


def score(scorer: Scorer, sample: Sample, answer: GivenAnswer) -> Score:
    """Score an answer. It may take some time for a long one: call it off the event loop."""
    try:
        value, reason = _SCORERS[scorer.kind](scorer, sample, answer)
    except _CannotScore as error:
        return Score(scorer=scorer.name, reason=str(error))
    if scorer.threshold is not None:
        reason = reason or f"{value:.3f}"
        value = float(value >= scorer.threshold)
    return Score(scorer=scorer.name, value=value, reason=reason[:REASON_LENGTH_MAX])


def _check(scorer: Scorer) -> None:
    def refuse(problem: str) -> InvalidRequest:
        return InvalidRequest(f"The scorer '{scorer.name[:100]}' {problem}.", param="scorers")

    if len(scorer.name) > NAME_LENGTH_MAX:
        raise refuse(f"has a name of more than {NAME_LENGTH_MAX} characters")
    if scorer.kind == "regex":
        if not scorer.pattern or len(scorer.pattern) > PATTERN_LENGTH_MAX:
            raise refuse(f"needs a 'pattern' of 1 to {PATTERN_LENGTH_MAX:,} characters")
        try:
            _compile(scorer.pattern, scorer.ignore_case)
        except ValueError as error:
            raise refuse(f"has a pattern that RE2 cannot use: {error}") from error
    if scorer.kind == "json_schema":
        if scorer.json_schema is None:
            raise refuse("needs a 'json_schema'")
        check_schema(scorer.json_schema)
    if scorer.threshold is not None and not 0 <= scorer.threshold <= 1:
        raise refuse("has a 'threshold' that is not from 0 to 1")
    if scorer.tolerance is not None and not 0 <= scorer.tolerance < 1e300:
        raise refuse("has a 'tolerance' that is not a number from 0")
    if scorer.kind == "judge" and not scorer.judge:
        raise refuse("needs a 'judge', by its name or id")
    package = _PACKAGES.get(scorer.kind)
    if package is not None and importlib.util.find_spec(package) is None:
        raise refuse(f"needs {package} on the server: pip install 'briggs[evals]'")


_PACKAGES = {
    "fuzzy": "rapidfuzz",
    "bleu": "sacrebleu",
    "chrf": "sacrebleu",
    "rouge": "rouge_score",
}

_Scored = tuple[float, str]


def _score_exact(scorer: Scorer, sample: Sample, answer: GivenAnswer) -> _Scored:
    said = _fold(answer.text.strip(), scorer)
    is_right = any(said == _fold(each.strip(), scorer) for each in _references(sample))
    return float(is_right), "" if is_right else "is not equal to a reference"


def _score_includes(scorer: Scorer, sample: Sample, answer: GivenAnswer) -> _Scored:
    said = _fold(answer.text, scorer)
    is_right = any(_fold(each.strip(), scorer) in said for each in _references(sample))
    return float(is_right), "" if is_right else "includes no reference"


def _score_regex(scorer: Scorer, sample: Sample, answer: GivenAnswer) -> _Scored:
    pattern = _compile(scorer.pattern or "", scorer.ignore_case)
    is_right = pattern.search(answer.text.encode("utf-8", "replace")) is not None
    return float(is_right), "" if is_right else "has no match of the pattern"


@lru_cache(maxsize=64)
def _compile(pattern: str, ignore_case: bool) -> Any:
    return compile_pattern(f"(?i){pattern}" if ignore_case else pattern)


def _score_fuzzy(scorer: Scorer, sample: Sample, answer: GivenAnswer) -> _Scored:
    from rapidfuzz import fuzz

    said = _bound(answer.text, COMPARED_MAX)
    return max(fuzz.ratio(said, each[:COMPARED_MAX]) for each in _references(sample)) / 100, ""


_NUMBER = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+)?(?:[eE][-+]?\d{1,3})?")


def _score_numeric(scorer: Scorer, sample: Sample, answer: GivenAnswer) -> _Scored:
    """The last number of the answer, as people and models conclude with it."""
    said = _find_number(answer.text)
    wanted = [found for each in _references(sample) if (found := _find_number(each)) is not None]
    if not wanted:
        raise _CannotScore("no reference of the sample is a number")
    if said is None:
        return 0.0, "has no number"
    off = min(abs(said - each) - _allow(scorer, each) for each in wanted)
    return float(off <= 0), "" if off <= 0 else "is too far from the number"


def _allow(scorer: Scorer, wanted: float) -> float:
    return 1e-9 * max(1.0, abs(wanted)) if scorer.tolerance is None else scorer.tolerance


def _find_number(said: str) -> float | None:
    # Of a long answer only the end counts.
    found = [each for each in _NUMBER.findall(said[-COMPARED_MAX:]) if any(map(str.isdigit, each))]
    return number(float(found[-1].replace(",", ""))) if found else None


def _score_json_schema(scorer: Scorer, sample: Sample, answer: GivenAnswer) -> _Scored:
    try:
        value = json.decode(answer.text)
    except msgspec.DecodeError:
        return 0.0, "is not JSON"
    if not isinstance(value, dict):
        return 0.0, "is not an object"
    assert scorer.json_schema is not None, "checked when the run was created"
    try:
        check_values(value, schema=scorer.json_schema)
    except InvalidValues as error:
        places = [each["path"].removeprefix("json_values") or "." for each in error.problems]
        return 0.0, f"breaks the schema at {', '.join(places[:5])}"
    return 1.0, ""


def _score_tool_calls(scorer: Scorer, sample: Sample, answer: GivenAnswer) -> _Scored:
    if not sample.tool_calls:
        raise _CannotScore("the sample has no tool calls to compare with")
    said = [each["name"] for each in answer.tool_calls]
    wanted = [each.get("name") for each in sample.tool_calls]
    if said != wanted:
        return 0.0, f"makes {len(said)} calls, not the {len(wanted)} wanted ones in their order"
    if scorer.names_only:
        return 1.0, ""
    for place, (one, other) in enumerate(zip(answer.tool_calls, sample.tool_calls, strict=True), 1):
        if one["arguments"] != other.get("arguments"):
            return 0.0, f"call {place} has other arguments"
    return 1.0, ""


def _score_bleu(scorer: Scorer, sample: Sample, answer: GivenAnswer) -> _Scored:
    import sacrebleu

    said, references = _by_words(sample, answer)
    return sacrebleu.sentence_bleu(said, references).score / 100, ""


def _score_chrf(scorer: Scorer, sample: Sample, answer: GivenAnswer) -> _Scored:
    import sacrebleu

    said, references = _by_words(sample, answer)
    return sacrebleu.sentence_chrf(said, references).score / 100, ""


def _score_rouge(scorer: Scorer, sample: Sample, answer: GivenAnswer) -> _Scored:
    """ROUGE-L's F-measure."""
    said, references = _by_words(sample, answer)
    rouge = _open_rouge()
    return max(rouge.score(each, said)["rougeL"].fmeasure for each in references), ""


@lru_cache(maxsize=1)
def _open_rouge() -> Any:
    from rouge_score import rouge_scorer

    return rouge_scorer.RougeScorer(["rougeL"], use_stemmer=True)


def _score_external(scorer: Scorer, sample: Sample, answer: GivenAnswer) -> _Scored:
    raise _CannotScore("its program has not scored it yet")


def _score_judge(scorer: Scorer, sample: Sample, answer: GivenAnswer) -> _Scored:
    raise AssertionError("a judge is asked by `evals/verdicts.py`")


_SCORERS: Mapping[str, Callable[[Scorer, Sample, GivenAnswer], _Scored]] = {
    "exact": _score_exact,
    "includes": _score_includes,
    "regex": _score_regex,
    "fuzzy": _score_fuzzy,
    "numeric": _score_numeric,
    "json_schema": _score_json_schema,
    "tool_calls": _score_tool_calls,
    "bleu": _score_bleu,
    "rouge": _score_rouge,
    "chrf": _score_chrf,
    "judge": _score_judge,
    "external": _score_external,
}


def _references(sample: Sample) -> Sequence[str]:
    if not sample.references:
        raise _CannotScore("the sample has no reference")
    return sample.references


def _by_words(sample: Sample, answer: GivenAnswer) -> tuple[str, list[str]]:
    said = _bound(answer.text, COMPARED_BY_WORDS_MAX)
    return said, [each[:COMPARED_BY_WORDS_MAX] for each in _references(sample)]


def _bound(said: str, characters_max: int) -> str:
    if len(said) > characters_max:
        raise _CannotScore(
            f"the answer has more than {characters_max:,} characters, the most this scorer compares"
        )
    return said.encode("utf-8", "replace").decode()


def _fold(said: str, scorer: Scorer) -> str:
    return said.casefold() if scorer.ignore_case else said
