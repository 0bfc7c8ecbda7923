"""The examples of a judge: people's grades, spread over the scale, near in text."""

from __future__ import annotations

from typing import Any

import pytest

from briggs.feedback.answers import Answers
from briggs.judges.examples import Chooser, group_examples, list_examples
from briggs.types.completions import Completion
from briggs.types.feedback import (
    Feedback,
    ReviewerKind,
    Suggestion,
    SuggestionOutcome,
    TaskVersion,
)
from briggs.types.forms import read_form
from briggs.types.judges import POOL_MAX, Example

SCHEMA: dict[str, Any] = {
    "properties": {
        "stars": {"type": "integer", "minimum": 1, "maximum": 5},
        "tone": {"enum": ["kind", "rude"]},
    }
}
FIELDS = read_form(SCHEMA).fields


def give(
    reviewer: str, kind: ReviewerKind = "person", comment: str = "", **values: Any
) -> Feedback:
    return Feedback(
        organization_id="o",
        task_id="t",
        task_version=1,
        reviewer=reviewer,
        reviewer_kind=kind,
        json_values=values,
        comment=comment,
    )


def list_all(
    given: dict[str, list[Feedback]], decisions: dict[str, Feedback] | None = None
) -> list[Example]:
    version = TaskVersion(version=1, created_at=0, instruction="", json_schema=SCHEMA)
    answers = Answers(
        version=version,
        counts={},
        by_completion={id: {each.reviewer: each for each in all} for id, all in given.items()},
        decisions=decisions or {},
        completions={id: Completion(id=id, organization_id="o") for id in given},
    )
    return list_examples(answers)


def test_people_agree_on_an_example() -> None:
    """The median of numbers and the most common choice, with all reasons, and no model's grade."""
    given = {
        "a": [
            give("ann", stars=2, tone="kind", comment="short"),
            give("ben", stars=5, tone="rude", comment="rude"),
            give("cem", stars=4, tone="rude"),
            give("judge", "model", stars=1),
        ],
        "b": [give("judge", "model", stars=1)],
    }
    [example] = list_all(given)
    assert example.json_values == {"stars": 4, "tone": "rude"}
    assert example.reason == "short rude" and len(example.feedback_ids) == 3


def test_a_lead_decides() -> None:
    """A decision counts alone."""
    [example] = list_all({"a": [give("ann", stars=2)]}, {"a": give("lea", "lead", stars=5)})
    assert example.json_values == {"stars": 5}


@pytest.mark.parametrize(
    ("outcome", "own", "stars"),
    [
        ("accepted", None, None),
        ("accepted", {"stars": 2}, 2),
        ("edited", None, 5),
        ("edited", {"stars": 2}, 2),
        ("rejected", None, 5),
        ("agreed", {"stars": 5}, 5),
    ],
)
def test_a_judge_does_not_learn_from_itself(
    outcome: SuggestionOutcome, own: dict[str, Any] | None, stars: int | None
) -> None:
    """What was only accepted is no example; what was said before it was seen counts first."""
    given = give("ann", stars=5)
    given.suggestion = Suggestion(judge_id="j", version=1, outcome=outcome, own_values=own)
    found = [each.json_values["stars"] for each in list_all({"a": [given]})]
    assert found == ([] if stars is None else [stars])
    [both] = list_all({"a": [given, give("ben", stars=1)]})
    assert len(both.feedback_ids) == (1 if stars is None else 2)


def test_a_pool_spans_the_scale() -> None:
    """If there are too many grades, rare parts of the scale are kept."""
    many = {f"{place:04}": [give("ann", stars=3)] for place in range(POOL_MAX + 50)}
    pool = list_all({**many, "rare": [give("ann", stars=1)]})
    assert len(pool) == POOL_MAX
    assert "rare" in [each.completion_id for each in pool]


def test_what_is_shown_spans_the_scale_and_is_near() -> None:
    """One of each part, both ends first, and the nearest text of each."""
    examples = [
        Example(completion_id=f"{stars}{word}", json_values={"stars": stars})
        for stars in (1, 2, 3, 4, 5)
        for word in ("cat", "dog")
    ]
    chooser = Chooser(examples, [f"a {each.completion_id[1:]}" for each in examples], fields=FIELDS)
    chosen = chooser.choose("my dog barks", count=3)
    assert sorted(examples[place].completion_id for place in chosen) == ["1dog", "3dog", "5dog"]
    assert len(chooser.choose("my dog barks", count=32)) == 10
    assert chooser.choose("x", count=0) == []


def test_the_text_itself_is_no_example() -> None:
    """An example with the very text would give its grade away."""
    examples = [Example(completion_id=id, json_values={"stars": 1}) for id in "ab"]
    chooser = Chooser(examples, ["same", "other"], fields=FIELDS)
    assert chooser.choose("same", count=5) == [1]


def test_numbers_are_grouped_by_rank() -> None:
    """Many different numbers fall into ten parts; what has no value is a part of its own."""
    numbers = read_form({"properties": {"n": {"type": "number"}}}).fields
    examples = [Example(completion_id="", json_values={"n": n * 0.7}) for n in range(100)]
    groups = group_examples([*examples, Example(completion_id="", json_values={})], numbers)
    assert len(set(groups)) == 11 and groups[-1] == -1
    texts = read_form({"properties": {"t": {"type": "string"}}}).fields
    assert set(group_examples(examples, texts)) == {0}
