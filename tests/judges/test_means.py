"""Mean grades of all traffic: unbiased, and narrower than by people alone."""

from __future__ import annotations

import random
from typing import Any

import pytest

from briggs.judges.means import JudgedCompletion, estimate_field
from briggs.types.completions import Completion
from briggs.types.forms import read_form
from briggs.types.judges import Judgement

SCHEMA: dict[str, Any] = {
    "properties": {
        "stars": {"type": "integer", "minimum": 1, "maximum": 5},
        "safe": {"type": "boolean"},
        "tone": {"enum": ["kind", "rude"]},
    }
}
FIELDS = {field.name: field for field in read_form(SCHEMA).fields}
MONDAY_US = 1_795_824_000_000_000  # 2026-11-28, a Saturday of week 48.


def create(place: int, people: dict[str, list[Any]], **said: Any) -> JudgedCompletion:
    labels = Completion(
        organization_id="o",
        model="good" if place % 2 else "bad",
        tags=["a"] if place % 3 else ["a", "b"],
        created_at=MONDAY_US,
    )
    judgement = Judgement(
        organization_id="o", judge_id="j", version=1, completion_id=labels.id, **said
    )
    return JudgedCompletion(labels, judgement, people)


def test_a_biased_judge_makes_no_biased_mean() -> None:
    """A judge that is a star too high narrows the interval around people's mean all the same."""
    draw = random.Random(4)
    known, true = [], []
    for place in range(600):
        value = draw.choice([1, 2, 3, 4, 5]) if place % 2 else draw.choice([1, 2, 3])
        true.append(value)
        people = {"stars": [value, value]} if place < 120 else {}
        known.append(create(place, people, scores={"stars": value + 1 + draw.gauss(0, 0.3)}))
    [found] = estimate_field(FIELDS["stars"], known)
    alone, both = found.all.people, found.all.both
    assert alone is not None and both is not None
    assert alone.interval is not None and both.interval is not None
    assert both.mean == pytest.approx(sum(true) / 600, abs=0.1)
    assert both.interval.half_width < 0.7 * alone.interval.half_width
    assert (both.known, both.predicted) == (120, 480)
    assert sorted(found.by_model) == ["bad", "good"] and sorted(found.by_tag) == ["a", "b"]
    assert list(found.by_week) == ["2026-W48"]
    good, bad = found.by_model["good"].both, found.by_model["bad"].both
    assert good is not None and bad is not None and good.mean > bad.mean + 0.5


def test_choices_are_shares() -> None:
    """Of yes and no it is the share of yes; of other choices that of each option."""
    known = [
        create(
            place,
            {"safe": [place % 4 > 0]} if place < 40 else {},
            probabilities={"safe": [0.7, 0.3], "tone": [0.2, 0.8]},
        )
        for place in range(100)
    ]
    [safe] = estimate_field(FIELDS["safe"], known)
    assert safe.option == "true" and safe.all.people is not None
    assert safe.all.people.mean == pytest.approx(0.75)
    tone = [*estimate_field(FIELDS["tone"], known)]
    assert [each.option for each in tone] == ["kind", "rude"]
    assert tone[0].all.both is None


def test_without_judgements_there_is_nothing() -> None:
    """No mean and no group."""
    [found] = estimate_field(FIELDS["stars"], [])
    assert found.all.people is None and found.all.both is None and found.by_model == {}
