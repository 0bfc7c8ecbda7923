"""A form and the validator agree about a schema."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema_rs import Draft202012Validator
from pydantic import BaseModel, Field

from briggs.types.fields import describe, find_problem, has_value
from briggs.types.forms import (
    build_values,
    flatten_values,
    list_missing,
    read_form,
)


class Tone(StrEnum):
    KIND = "kind"
    COLD = "cold"


class About(BaseModel):
    topic: Literal["billing", "other"]
    note: str | None = None


class Review(BaseModel):
    """A schema as a user writes it."""

    stars: Annotated[int, Field(ge=1, le=5)]
    sure: Annotated[int, Field(ge=0, le=10)] | None = None
    second: Annotated[int, Field(gt=0, lt=4)] | None
    good: bool
    tone: Tone = Tone.KIND
    only: Literal["yes"]
    flags: list[Literal["rude", "wrong"]] = []
    tones: set[Tone] = set()
    share: Annotated[float, Field(ge=0, lt=1)] = 0.5
    about: About
    more: About | None = None
    words: list[str] = []
    any: Any = None
    either: int | str = 1


def test_a_pydantic_model() -> None:
    """References, null, enums, bounds and models within a model become fields."""
    form = read_form(Review.model_json_schema())
    found = {
        field.name: (field.kind, field.minimum, field.maximum, field.nullable, field.required)
        for field in form.fields
    }
    assert found == {
        "stars": ("scale", 1, 5, False, True),
        "sure": ("scale", 0, 10, True, False),
        "second": ("scale", 1, 3, True, True),
        "good": ("boolean", None, None, False, True),
        "tone": ("choice", None, None, False, False),
        "only": ("choice", None, None, False, True),
        "flags": ("choices", None, None, False, False),
        "tones": ("choices", None, None, False, False),
        "share": ("number", 0, None, False, False),
        "about.topic": ("choice", None, None, False, True),
        "about.note": ("text", None, None, True, False),
        "more.topic": ("choice", None, None, False, False),
        "more.note": ("text", None, None, True, False),
        "words": ("list", None, None, False, False),
        "any": ("json", None, None, True, False),
        "either": ("json", None, None, False, False),
    }
    options = {field.name: [each.value for each in field.options] for field in form.fields}
    assert options["tone"] == ["kind", "cold"]
    assert options["flags"] == ["rude", "wrong"]
    assert options["only"] == ["yes"]
    assert next(field.title for field in form.fields if field.name == "stars") == "Stars"


def test_an_object_that_may_be_left_out() -> None:
    """The required fields of an optional object are missing once it has any value."""
    form = read_form(Review.model_json_schema())
    assert [field.name for field in list_missing(form, {})] == [
        "stars",
        "good",
        "only",
        "about.topic",
    ]
    begun: dict[tuple[str, ...], Any] = {("more", "note"): "x"}
    assert "more.topic" in [field.name for field in list_missing(form, begun)]
    said: dict[tuple[str, ...], Any] = {
        ("stars",): 4,
        ("good",): True,
        ("only",): "yes",
        ("about", "topic"): "other",
    }
    values = build_values(form, said)
    assert values == {
        "stars": 4,
        "second": None,
        "good": True,
        "only": "yes",
        "about": {"topic": "other"},
    }
    Review.model_validate(values)
    assert flatten_values(form, values) == {**said, ("second",): None}


@pytest.mark.parametrize(
    ("schema", "kind", "options"),
    [
        ({"const": "a"}, "choice", ["a"]),
        ({"enum": [False, True]}, "boolean", [False, True]),
        ({"type": "boolean"}, "boolean", [True, False]),
        ({"enum": ["a", None]}, "choice", ["a"]),
        ({"enum": ["a", 1, 2], "type": "integer", "minimum": 2}, "choice", [2]),
        ({"oneOf": [{"const": 1, "title": "bad"}, {"const": 2}]}, "choice", [1, 2]),
        ({"oneOf": [{"enum": [1, 2]}, {"enum": [2, 3]}]}, "choice", [1, 3]),
        ({"anyOf": [{"enum": ["a"]}, {"enum": ["b"]}, {"type": "null"}]}, "choice", ["a", "b"]),
        ({"allOf": [{"enum": [1, 2, 3]}, {"enum": [2, 3, True]}]}, "choice", [2, 3]),
        ({"type": ["integer", "null"], "minimum": 1, "maximum": 9}, "scale", []),
        ({"allOf": [{"type": "number"}, {"type": "integer", "minimum": 1}]}, "integer", []),
        ({"type": "integer", "exclusiveMinimum": 0.5, "exclusiveMaximum": 4}, "scale", []),
        ({"type": ["integer", "number"]}, "number", []),
        ({"type": ["string", "integer"]}, "json", []),
        ({"anyOf": [{"type": "string"}, {"type": "integer"}]}, "json", []),
        ({"type": "array", "items": {"enum": ["a", "b"]}}, "choices", ["a", "b"]),
        ({"type": "array", "items": {"type": "object", "properties": {"a": {}}}}, "list", []),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, "json", []),
        (True, "json", []),
    ],
)
def test_kinds(schema: Any, kind: str, options: list[Any]) -> None:
    """Each form of a schema leads to one kind of field."""
    (field,) = read_form({"properties": {"x": schema}}).fields
    assert (field.kind, [option.value for option in field.options]) == (kind, options)


def test_the_siblings_of_a_reference() -> None:
    """Keywords next to `$ref` count in 2020-12. Draft-07 ignores all but titles and the like."""
    schema: dict[str, Any] = {
        "properties": {"x": {"$ref": "#/definitions/n", "maximum": 5, "title": "X"}},
        "definitions": {"n": {"type": "integer", "minimum": 1, "maximum": 9}},
    }
    (field,) = read_form(schema).fields
    assert (field.title, field.maximum) == ("X", 5)
    schema["$schema"] = "http://json-schema.org/draft-07/schema#"
    (field,) = read_form(schema).fields
    assert (field.title, field.maximum) == ("X", 9)


def test_a_schema_without_properties_is_one_field() -> None:
    """Then the form has one field: the whole object."""
    form = read_form({"title": "Anything"})
    (field,) = form.fields
    assert (field.name, field.path, field.kind, form.names) == ("values", (), "json", [])
    assert build_values(form, {(): {"a": 1}}) == {"a": 1}
    assert find_problem(field, [1]) == "it must be a JSON object"


def test_schemas_that_never_end() -> None:
    """A schema that contains itself, or doubles at every level, is read in bounded time."""
    tree = {"properties": {"left": {"$ref": "#"}, "right": {"anyOf": [{"$ref": "#"}, {}]}}}
    assert [field.kind for field in read_form(tree).fields] == ["json", "json"]
    for keyword in ("allOf", "anyOf"):
        bomb = {
            f"n{depth}": {
                keyword: [{"$ref": f"#/$defs/n{depth + 1}"}, {"$ref": f"#/$defs/n{depth + 1}"}]
            }
            for depth in range(60)
        }
        form = read_form({"properties": {"x": {"$ref": "#/$defs/n0"}}, "$defs": bomb})
        assert len(form.fields) == 1
    wide = {
        f"n{depth}": {
            "properties": {name: {"$ref": f"#/$defs/n{depth + 1}"} for name in "abcdefgh"}
        }
        for depth in range(60)
    }
    form = read_form({"$ref": "#/$defs/n0", "$defs": wide})
    assert (len(form.fields) <= 1000, form.is_whole) == (True, False)
    deep: dict[str, Any] = {}
    for _ in range(5000):
        deep = {"allOf": [deep]}
    assert not read_form({"properties": {"x": deep}}).is_whole


@pytest.mark.parametrize(
    ("schema", "value", "problem"),
    [
        ({"type": "integer", "minimum": 1, "maximum": 5}, 6, "a whole number from 1 to 5"),
        ({"type": "integer", "minimum": 1, "maximum": 5}, True, "a whole number from 1 to 5"),
        ({"type": "boolean"}, "yes", "true or false"),
        ({"enum": ["a", 1]}, 2, "one of a, 1"),
        ({"type": "array", "items": {"enum": ["a", "b"]}}, ["c"], "one of a, b, not 'c'"),
        ({"type": "array", "minItems": 1}, [], "at least 1 item"),
        ({"type": "array", "uniqueItems": True}, [1, 1.0], "no item may come twice"),
        ({"type": "string", "maxLength": 2}, "abc", "at most 2 characters"),
        ({"type": "number", "exclusiveMinimum": 0}, 0, "a number above 0"),
        (
            {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
            1,
            "a number above 0 and below 1",
        ),
        ({"type": "string", "format": "date"}, 5, "a date such as 2026-01-31"),
        ({"type": "string", "minLength": 2, "maxLength": 9}, 5, "a text of 2 to 9 characters"),
        (
            {"anyOf": [{"type": "integer"}, {"type": "number"}, {"type": "string"}]},
            True,
            "it must be a number or a text",
        ),
    ],
)
def test_problems(schema: dict[str, Any], value: Any, problem: str) -> None:
    """The error about a rejected value says what the field accepts."""
    (field,) = read_form({"properties": {"x": schema}}).fields
    assert problem in str(find_problem(field, value))
    assert describe(field)


NUMBERS = st.integers(-3, 12) | st.sampled_from([0.5, 1.0, 2.5])
SCALARS = st.none() | st.booleans() | NUMBERS | st.sampled_from(["", "a", "b", "abc"])
BOUNDS = st.dictionaries(
    st.sampled_from(["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"]),
    NUMBERS,
    max_size=2,
)
LEAVES = st.one_of(
    st.builds(lambda bounds: {"type": "integer", **bounds}, BOUNDS),
    st.builds(lambda bounds: {"type": ["number", "null"], **bounds}, BOUNDS),
    st.builds(lambda step: {"type": "integer", "multipleOf": step}, st.sampled_from([1, 2, 0.5])),
    st.just({"type": "boolean"}),
    st.builds(lambda low: {"type": "string", "minLength": low, "maxLength": 2}, st.integers(0, 3)),
    st.builds(lambda values: {"enum": values}, st.lists(SCALARS, min_size=1, max_size=4)),
    st.builds(lambda value: {"const": value}, SCALARS),
    st.just({"type": "null"}),
    st.just({}),
)


def wrap(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Ways to rewrite a schema as an equivalent one."""
    return st.one_of(
        inner.map(lambda schema: {"anyOf": [schema, {"type": "null"}]}),
        inner.map(lambda schema: {"oneOf": [{"type": "null"}, schema], "title": "t"}),
        inner.map(lambda schema: {"allOf": [schema], "description": "d"}),
        st.tuples(inner, inner).map(lambda pair: {"allOf": list(pair)}),
        st.tuples(inner, inner).map(lambda pair: {"anyOf": list(pair)}),
        st.tuples(inner, inner).map(lambda pair: {**pair[0], "allOf": [pair[1]]}),
        st.just({"$ref": "#/$defs/d"}),
        st.builds(
            lambda schema, low, unique: {
                "type": "array", "items": schema, "minItems": low, "maxItems": 2,
                "uniqueItems": unique,
            },
            inner, st.integers(0, 1), st.booleans(),
        ),
        st.builds(
            lambda names, required: {
                "type": "object",
                "properties": names,
                "required": sorted(required & names.keys()),
            },
            st.dictionaries(st.sampled_from("abc"), inner, min_size=1, max_size=3),
            st.sets(st.sampled_from("abc")),
        ),
    )  # fmt: skip


SCHEMAS = st.recursive(LEAVES, wrap, max_leaves=6)
VALUES = SCALARS | st.lists(SCALARS, max_size=3)


@settings(max_examples=600)
@given(
    st.dictionaries(st.sampled_from("xyz"), SCHEMAS, min_size=1, max_size=3),
    st.sets(st.sampled_from("xyz")),
    SCHEMAS,
    st.data(),
)
def test_a_form_takes_what_validates(
    properties: dict[str, Any], required: set[str], definition: Any, data: st.DataObject
) -> None:
    """An answer is valid if and only if the form accepts it."""
    schema = {
        "type": "object",
        "properties": properties,
        "required": sorted(required & properties.keys()),
        "$defs": {"d": definition},
    }
    form = read_form(schema)
    for field in form.fields:
        if not has_value(field):
            assert find_problem(field, data.draw(VALUES))
    if not form.is_exact:
        return
    said = {
        field.path: data.draw(
            st.sampled_from([option.value for option in field.options]) | VALUES
            if field.options
            else VALUES,
            label=field.name,
        )
        for field in form.fields
        if data.draw(st.booleans(), label=f"{field.name} is said")
    }
    values = build_values(form, said)
    is_taken = not list_missing(form, said) and not any(
        find_problem(field, said[field.path]) for field in form.fields if field.path in said
    )
    assert is_taken == Draft202012Validator(schema).is_valid(values), values
    assert not (is_taken and form.contradiction == ())
