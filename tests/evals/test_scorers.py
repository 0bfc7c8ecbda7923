"""Scorers: what each kind finds right, and that a failed one is no zero."""

from __future__ import annotations

import time
from typing import Any

import pytest

from briggs.evals.scorers import GivenAnswer, check_scorers, read_answer, score
from briggs.types.datasets import Sample
from briggs.types.errors import InvalidRequest
from briggs.types.evals import Scorer

CALL = {"name": "look_up", "arguments": {"city": "Lima"}}
SCHEMA = {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}


def sample(*references: str, tool_calls: list[dict[str, Any]] | None = None) -> Sample:
    return Sample(id="1", messages=[], references=list(references), tool_calls=tool_calls or [])


def rate(answer: str, *references: str, **options: Any) -> float | None:
    (scorer,) = check_scorers([Scorer(**options)])
    return score(scorer, sample(*references), GivenAnswer(answer)).value


@pytest.mark.parametrize(
    ("options", "answer", "references", "value"),
    [
        ({"kind": "exact"}, " Paris\n", ["Lima", "Paris"], 1),
        ({"kind": "exact"}, "paris", ["Paris"], 0),
        ({"kind": "exact", "ignore_case": True}, "STRASSE", ["straße"], 1),
        ({"kind": "includes"}, "It is Paris.", ["Paris"], 1),
        ({"kind": "includes"}, "It is Lima.", ["Paris"], 0),
        ({"kind": "regex", "pattern": r"^\d+$"}, "42", [], 1),
        ({"kind": "regex", "pattern": r"^\d+$"}, "42 apples", [], 0),
        ({"kind": "regex", "pattern": "été", "ignore_case": True}, "ÉTÉ", [], 1),
        ({"kind": "numeric"}, "So 17 + 25 is 42.", ["42"], 1),
        ({"kind": "numeric"}, "about 1,234.5 euros", ["1234.5"], 1),
        ({"kind": "numeric", "tolerance": 0.5}, "-2.25e3", ["-2250.4"], 1),
        ({"kind": "numeric"}, "41.9", ["42"], 0),
        ({"kind": "numeric"}, "none", ["42"], 0),
        ({"kind": "json_schema", "json_schema": SCHEMA}, '{"age": 3}', [], 1),
        ({"kind": "json_schema", "json_schema": SCHEMA}, '{"age": "3"}', [], 0),
        ({"kind": "json_schema", "json_schema": SCHEMA}, "three", [], 0),
        ({"kind": "json_schema", "json_schema": SCHEMA}, "[3]", [], 0),
        # rapidfuzz's documentation: fuzz.ratio("this is a test", "this is a test!") is 96.55.
        ({"kind": "fuzzy"}, "this is a test", ["x", "this is a test!"], 0.9655),
        ({"kind": "fuzzy", "threshold": 0.9}, "this is a test", ["this is a test!"], 1),
        ({"kind": "fuzzy", "threshold": 0.99}, "this is a test", ["this is a test!"], 0),
        # rouge-score's documentation: rougeL of these is 0.8 precise and 0.4444 recalled... of 9.
        ({"kind": "rouge"}, "The quick brown dog jumps on the log.",
         ["The quick brown fox jumps over the lazy dog"], 2 * (5 / 8) * (5 / 9) / (5 / 8 + 5 / 9)),
        ({"kind": "bleu"}, "the same words in here", ["the same words in here"], 1),
        ({"kind": "chrf"}, "the same words in here", ["the same words in here"], 1),
    ],
)  # fmt: skip
def test_values(options: dict[str, Any], answer: str, references: list[str], value: float) -> None:
    """An answer is worth what its scorer says."""
    assert rate(answer, *references, **options) == pytest.approx(value, abs=1e-4)


@pytest.mark.parametrize(
    ("calls", "names_only", "value"),
    [
        ([CALL], False, 1),
        ([{"name": "look_up", "arguments": {"city": "Paris"}}], False, 0),
        ([{"name": "look_up", "arguments": {"city": "Paris"}}], True, 1),
        ([CALL, CALL], False, 0),
        ([], False, 0),
    ],
)
def test_tool_calls(calls: list[dict[str, Any]], names_only: bool, value: float) -> None:
    """Calls are right in their order, by name and arguments, or by name alone."""
    (scorer,) = check_scorers([Scorer(kind="tool_calls", names_only=names_only)])
    assert score(scorer, sample(tool_calls=[CALL]), GivenAnswer("", calls)).value == value


@pytest.mark.parametrize(
    ("options", "answer", "references", "said"),
    [
        ({"kind": "exact"}, "x", [], "no reference"),
        ({"kind": "numeric"}, "3", ["three"], "no reference of the sample is a number"),
        ({"kind": "tool_calls"}, "x", [], "no tool calls to compare"),
        ({"kind": "rouge"}, "x " * 10_001, ["x"], "more than 20,000 characters"),
        ({"kind": "fuzzy"}, "x" * 100_001, ["x"], "more than 100,000 characters"),
        ({"kind": "external"}, "x", ["x"], "has not scored it yet"),
    ],
)
def test_a_failed_scorer_is_no_zero(
    options: dict[str, Any], answer: str, references: list[str], said: str
) -> None:
    """A scorer that cannot score gives no value, and says why."""
    (scorer,) = check_scorers([Scorer(**options)])
    found = score(scorer, sample(*references), GivenAnswer(answer))
    assert found.value is None and said in found.reason


def test_reasons_quote_no_answer() -> None:
    """What was answered is in no reason, which stays when the answer is deleted."""
    for options in (
        {"kind": "exact"},
        {"kind": "includes"},
        {"kind": "numeric"},
        {"kind": "regex", "pattern": "x"},
        {"kind": "json_schema", "json_schema": SCHEMA},
        {"kind": "json_schema", "json_schema": {**SCHEMA, "additionalProperties": False}},
    ):
        (scorer,) = check_scorers([Scorer(**options)])
        for answer in ("canary 7", '{"age": "canary"}', '{"canary": 1, "age": 3}'):
            assert "canary" not in score(scorer, sample("1"), GivenAnswer(answer)).reason


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([{"kind": "regex"}], "needs a 'pattern'"),
        ([{"kind": "regex", "pattern": "(a)\\1"}], "RE2 cannot use"),
        ([{"kind": "regex", "pattern": "x" * 1_001}], "1 to 1,000 characters"),
        ([{"kind": "json_schema"}], "needs a 'json_schema'"),
        ([{"kind": "json_schema", "json_schema": {"type": "objekt"}}], "json_schema"),
        ([{"kind": "fuzzy", "threshold": 90.0}], "not from 0 to 1"),
        ([{"kind": "numeric", "tolerance": -1.0}], "not a number from 0"),
        ([{"kind": "exact"}, {"kind": "exact"}], "Two scorers have the name 'exact'"),
        ([{"kind": "exact", "name": f"n{n}"} for n in range(21)], "at most 20"),
    ],
)
def test_bad_scorers(options: list[dict[str, Any]], said: str) -> None:
    """A scorer that cannot work is refused before anything is asked."""
    with pytest.raises(InvalidRequest) as refused:
        check_scorers([Scorer(**each) for each in options])
    assert said in refused.value.message


def test_a_pattern_takes_linear_time() -> None:
    """A pattern that takes other engines hours is checked at once."""
    began = time.process_time()
    assert rate("a" * 50_000, kind="regex", pattern="(a|a)*b$|(a*)*c") == 0
    assert time.process_time() - began < 5


def test_answers() -> None:
    """The text and the calls of the first choice count; a refusal is a text."""
    call = {"type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    message = {"role": "assistant", "content": None, "refusal": "no", "tool_calls": [call]}
    found = read_answer({"choices": [{"message": message}, {"message": {"content": "x"}}]})
    assert found == GivenAnswer("no", [{"name": "f", "arguments": {"a": 1}}])
    assert read_answer({}) == GivenAnswer("", [])
