"""A task's form on a page: its controls, and what comes back from them."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.datastructures import ImmutableMultiDict

from briggs.types.forms import Form, build_values, read_form
from briggs.web.forms import Control, list_controls, read_submitted
from briggs.web.rendering import open_templates

SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["relevance", "tone", "safe", "problems"],
    "properties": {
        "relevance": {"type": "integer", "minimum": 1, "maximum": 5},
        "tone": {"enum": ["kind", "neutral", "cold"]},
        "safe": {"type": "boolean"},
        "problems": {"type": "array", "items": {"enum": ["wrong", "too long"]}},
        "score": {"type": "number", "maximum": 5},
        "note": {"type": "string", "multi": True},
        "words": {"type": "array", "items": {"type": "string"}},
        "deep": {"type": "object", "properties": {"level": {"enum": [1, 2.5, None, {"a": 1}]}}},
        "any": {},
    },
}
VALUES: dict[str, Any] = {
    "relevance": 4,
    "tone": "cold",
    "safe": False,
    "problems": ["wrong", "too long"],
    "score": 2.5,
    "note": "one\ntwo",
    "words": ["a b", "c"],
    "deep": {"level": {"a": 1}},
    "any": {"x": [1, None]},
}


def press(controls: list[Control]) -> list[tuple[str, str]]:
    """What a browser submits of these controls, as they are."""
    sent = []
    for each in controls:
        name = f"value.{each.name}"
        if each.choices:
            sent += [(name, str(choice.place)) for choice in each.choices if choice.is_chosen]
            sent += [(name, "")] if each.is_none else []
        else:
            sent.append((name, each.text.replace("\n", "\r\n")))
    return sent


def submit(form: Form, *sent: tuple[str, str]) -> Any:
    return read_submitted(form, ImmutableMultiDict(list(sent)))


@pytest.mark.parametrize("values", [VALUES, {**VALUES, "problems": []}, {**VALUES, "safe": True}])
def test_an_answer_comes_back(values: dict[str, Any]) -> None:
    """A form that is filled in with an answer, and submitted, gives the same answer."""
    form = read_form(SCHEMA)
    submitted = submit(form, *press(list_controls(form, values=values)))
    assert not submitted.problems
    assert build_values(form, submitted.said) == values


def test_shapes_and_keys() -> None:
    """Scales and yes or no are tiles, choices lists, and everything else is typed."""
    controls = {each.name: each for each in list_controls(read_form(SCHEMA))}
    assert {name: each.shape for name, each in controls.items()} == {
        "relevance": "tiles",
        "tone": "options",
        "safe": "tiles",
        "problems": "checks",
        "score": "number",
        "note": "text",
        "words": "lines",
        "deep.level": "options",
        "any": "json",
    }
    assert [choice.key for choice in controls["relevance"].choices] == list("12345")
    assert [choice.key for choice in controls["safe"].choices] == ["y", "n"]
    assert [name for name, each in controls.items() if each.is_required] == SCHEMA["required"]


def test_long_scales_and_lists() -> None:
    """A scale to 10 has keys for all, a longer one is typed, and many options drop down."""
    form = read_form(
        {
            "properties": {
                "ten": {"type": "integer", "minimum": 1, "maximum": 10},
                "hundred": {"type": "integer", "minimum": 1, "maximum": 100},
                "country": {"enum": [f"country {number}" for number in range(200)]},
            }
        }
    )
    ten, hundred, country = list_controls(form)
    assert [choice.key for choice in ten.choices] == list("123456789a")
    assert (hundred.shape, country.shape) == ("number", "select")


def test_what_is_missing_or_wrong() -> None:
    """Each field says what is wrong with it, and keeps what was typed."""
    form = read_form(SCHEMA)
    submitted = submit(
        form,
        ("value.relevance", "5"),
        ("value.tone", "x"),
        ("value.score", "9"),
        ("reason.tone", " because "),
        ("comment", " hm "),
    )
    assert submitted.problems.keys() == {"relevance", "tone", "score", "safe", "problems"}
    assert submitted.problems["safe"] == "This field is required."
    assert "at most 5" in submitted.problems["score"]
    assert (submitted.rationale, submitted.comment) == ({"tone": "because"}, "hm")
    shown = list_controls(form, typed=submitted.typed, problems=submitted.problems)
    assert next(each.text for each in shown if each.name == "score") == "9"


def test_hostile_words_are_no_markup() -> None:
    """Whatever a schema or a reviewer wrote is text on the page."""
    evil = '"><script>alert(1)</script>'
    form = read_form(
        {"properties": {evil: {"title": evil, "description": evil, "enum": [evil, 1]}}}
    )
    source = '{% from "parts/form.html" import fields %}{{ fields(controls) }}'
    controls = list_controls(form, rationale={evil: evil}, problems={evil: evil})
    assert "<script" not in open_templates().from_string(source).render(controls=controls)
