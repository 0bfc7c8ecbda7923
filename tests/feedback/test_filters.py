"""Filters: what they let through, and what they say of what they cannot read."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from briggs.feedback.filters import asks_completions, matches, parse_feedback_filter
from briggs.types.completions import Completion
from briggs.types.errors import InvalidRequest
from briggs.types.feedback import Feedback

FIELDS = ["relevance", "tone.kind", "flags", "is safe", "tag", "note"]
# 2026-11-23T14:00:00Z
CREATED = 1_795_442_400_000_000


def create_feedback(**members: Any) -> Feedback:
    values = {
        "relevance": 5,
        "tone": {"kind": "warm"},
        "flags": ["long", "odd"],
        "is safe": True,
        "tag": "mine",
        "note": None,
    }
    defaults = {
        "organization_id": "default",
        "task_id": "t-1",
        "task_name": "quality",
        "task_version": 1,
        "created_at": CREATED,
        "reviewer": "ann",
        "json_values": values,
        "comment": "said so",
    }
    return Feedback(**{**defaults, **members})


COMPLETION = Completion(
    organization_id="default", model="openai/gpt-5", response_model="gpt-5", tags=["billing", "eu"]
)


@pytest.mark.parametrize(
    "text",
    [
        "relevance <= 5", "relevance >= 5", "relevance = 5", "relevance = 5.0", "relevance > 4.5",
        "relevance != 6", "RELEVANCE < 1e3", "json_values.relevance=5",
        "tone.kind = warm", "tone.kind='warm'", "not tone.kind = cold",
        "flags = odd", "flags != none", "note = null",
        '"is safe" = true', "'is safe' != FALSE", "json_values.tag = mine",
        'model = "gpt-5"', "model = openai/gpt-5", "tag = billing", "tag != us",
        "task = quality", "task = t-1", "reviewer = ann", "reviewer_kind = api",
        'comment = "said so"',
        "created = 2026-11-23", "created > 2026-11-23T13:59", "created < 2026-11-24",
        "created >= '2026-11-23T15:00+01:00'",
        'relevance <= 5 and model = "gpt-5"', "relevance = 1 or relevance = 5",
        "'SAID so'", "relevance = 5 'warm'", "relevance = 1 or not 'cold'",
        "relevance = 1 and relevance = 2 or tag = eu", "relevance=1 AND (relevance=2 OR tag=eu) or "
        "relevance=5", "not (relevance = 1 or relevance = 2)", "not not relevance = 5",
    ],
)  # fmt: skip
def test_lets_through(text: str) -> None:
    """Each of these is true of the feedback, and its opposite is not."""
    feedback = create_feedback()
    assert matches(parse_feedback_filter(text, FIELDS), feedback, COMPLETION), text
    assert not matches(parse_feedback_filter(f"not ({text})", FIELDS), feedback, COMPLETION), text


@pytest.mark.parametrize(
    "text",
    [
        "relevance < 5", "relevance = '5 stars'", "tone.kind = cold", "note = ''",
        "model = gpt-4", "tag != eu", "flags != odd", "reviewer = Ann", "created = 2026-11-22",
        "'is safe' = false", "relevance = 1 and relevance = 2 or tag = us", "tone.kind > zebra",
    ],
)  # fmt: skip
def test_holds_back(text: str) -> None:
    """None of these is true of it."""
    assert not matches(parse_feedback_filter(text, FIELDS), create_feedback(), COMPLETION)


def test_what_is_not_there() -> None:
    """A field that is not there differs from everything and compares with nothing."""
    feedback = create_feedback(json_values={"tone": "warm"})
    for text in ("relevance <= 5", "relevance = 5", "tone.kind = warm", "model = gpt-5"):
        assert not matches(parse_feedback_filter(text, FIELDS), feedback, None)
    for text in ("relevance != 5", "tone.kind != warm", "model != gpt-5", "tag != eu"):
        assert matches(parse_feedback_filter(text, FIELDS), feedback, None)


def test_any_field() -> None:
    """Where no fields are known, any may be asked for."""
    filter = parse_feedback_filter("Coverage <= 5")
    assert matches(filter, create_feedback(json_values={"Coverage": 5}), None)
    assert not asks_completions(filter)
    assert asks_completions(parse_feedback_filter("not (Coverage <= 5 or model = x)"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("relevnce <= 5", "no field 'relevnce' (position 1). Did you mean 'relevance'?"),
        ("relevance <= 5 and modle = x", "no field 'modle' (position 20). Did you mean 'model'?"),
        ("x = 1", "There are relevance, tone.kind, flags, is safe, json_values.tag, note, task"),
        ("relevance", "one of <= >= < > = != should be at position 10"),
        ("relevnt", 'To search for this word, write "relevnt".'),
        ("relevance 5", "one of <= >= < > = != should be at position 11, where '5' is"),
        ("relevance <=", "a value should be at position 13, where 'the end' is"),
        ("relevance <= 5 5", "'and' or 'or' should be at position 16"),
        ("(relevance <= 5", "')' should be at position 16"),
        ("", "a field should be at position 1"),
        (")", "a field should be at position 1"),
        ("note = 'x", "the quotes to end should be at position 8"),
        ("created = monday", "a time such as 2026-11-23 or 2026-11-23T14:00 should be at"),
        ("not " * 60 + "relevance = 1", "no more than 50 levels"),
        ("(" * 60 + "relevance = 1", "no more than 50 levels"),
    ],
)
def test_what_is_wrong(text: str, said: str) -> None:
    """An error says where it is, and which fields there are."""
    with pytest.raises(InvalidRequest) as raised:
        parse_feedback_filter(text, FIELDS)
    assert said in raised.value.message
    assert raised.value.param == "filter"


@given(st.text(max_size=30) | st.text(alphabet="ab=<>!()'\" 1.or and not", max_size=30))
def test_any_text(text: str) -> None:
    """Whatever is written is a filter or an error that explains itself."""
    try:
        filter = parse_feedback_filter(text)
    except InvalidRequest as error:
        assert "position" in error.message
    else:
        matches(filter, create_feedback(), COMPLETION)


def test_a_filter_that_is_too_long() -> None:
    """It is refused with the limit, before it is read."""
    for text in ("a" * 1_000_000, "not " * 100_000, " " * 50_000 + '"', "a=1 and " * 5_000):
        with pytest.raises(InvalidRequest, match="10,000"):
            parse_feedback_filter(text, [f"field{number}" for number in range(1_000)])
