"""A task's schema as a form: which fields there are, and what keys and lines say to them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from briggs.cli.form import (
    KEYS,
    Field,
    build_values,
    flatten_values,
    read_fields,
    read_line,
)
from briggs.cli.interview import Command

SCHEMA = {
    "type": "object",
    "required": ["grade", "about"],
    "properties": {
        "grade": {"type": "integer", "minimum": 1, "maximum": 5},
        "about": {
            "type": "object",
            "required": ["topic"],
            "properties": {"topic": {"enum": ["billing", "other"]}, "note": {"type": "string"}},
        },
        "tone": {"$ref": "#/$defs/tone", "description": "How does it sound?"},
        "maybe": {"anyOf": [{"type": "boolean"}, {"type": "null"}]},
    },
    "$defs": {"tone": {"enum": ["kind", "cold"]}},
}


def test_fields_are_those_of_the_schema() -> None:
    """Objects within are walked, references followed, and null is no type of its own."""
    fields = {field.name: field for field in read_fields(SCHEMA)}
    assert list(fields) == ["grade", "about.topic", "about.note", "tone", "maybe"]
    assert [name for name, field in fields.items() if field.required] == ["grade", "about.topic"]
    assert fields["grade"].choices == {str(number): number for number in range(1, 6)}
    assert fields["about.topic"].choices == {"1": "billing", "2": "other"}
    assert fields["about.note"].choices == {}
    assert fields["tone"].choices == {"1": "kind", "2": "cold"}
    assert fields["tone"].schema["description"] == "How does it sound?"
    assert fields["maybe"].choices == {"y": True, "n": False}


@pytest.mark.parametrize(
    ("schema", "keys"),
    [
        ({"type": "integer", "minimum": 0, "exclusiveMaximum": 3}, "012"),
        ({"type": "integer", "exclusiveMinimum": 0, "maximum": 2}, "12"),
        ({"type": ["integer", "null"], "minimum": 1, "maximum": 9}, "123456789"),
        ({"type": "integer", "minimum": 1, "maximum": 10}, ""),
        ({"type": "integer", "minimum": 1}, ""),
        ({"type": "integer", "maximum": 5}, ""),
        ({"type": "number", "minimum": 1, "maximum": 5}, ""),
        ({"const": "yes"}, "1"),
        ({"enum": list(range(12))}, "123456789abd"),
        ({"enum": list(range(100))}, ""),
        ({}, ""),
    ],
)
def test_keys_of_a_field(schema: dict[str, Any], keys: str) -> None:
    """A field has keys where one key can say each of its values."""
    assert "".join(Field(("x",), schema, required=True).choices) == keys


def test_no_choice_takes_the_key_of_a_command() -> None:
    """A key is a choice or a command, never both."""
    assert len(set(KEYS)) == len(KEYS)
    assert not set(KEYS + "yn0") & {command.value for command in Command}


@pytest.mark.parametrize(
    ("schema", "line", "value"),
    [
        ({"type": "string"}, "12", "12"),
        ({"type": "integer"}, "12", 12),
        ({"type": "number"}, "0.5", 0.5),
        ({"type": "array"}, "a, b,", ["a", "b"]),
        ({"type": "array", "items": {"type": "integer"}}, "1,2", [1, 2]),
        ({"type": "array"}, '["a, b"]', ["a, b"]),
        ({"type": "object"}, '{"a": null}', {"a": None}),
        ({}, "12", 12),
        ({}, "twelve", "twelve"),
    ],
)
def test_lines(schema: dict[str, Any], line: str, value: object) -> None:
    """A line becomes a value of the field's type."""
    assert read_line(Field(("x",), schema, required=True), line) == value


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("integer", "a whole number"),
        ("object", "a JSON object"),
        ("array", "values"),
        ("null", "JSON"),
    ],
)
def test_a_line_that_is_no_value(kind: str, said: str) -> None:
    """What is no value of the field's type says what would be one."""
    with pytest.raises(ValueError, match=said):
        read_line(Field(("x",), {"type": kind}, required=True), "[twelve")


def test_a_schema_without_properties_is_one_field() -> None:
    """Then the whole object is said as JSON."""
    (field,) = read_fields({"title": "Anything"})
    assert (field.name, field.path) == ("values", ())
    assert build_values({(): read_line(field, '{"a": 1}')}) == {"a": 1}
    for line in ("a", "[1]"):
        with pytest.raises(ValueError, match="a JSON object"):
            read_line(field, line)


def test_a_schema_that_holds_itself_has_an_end() -> None:
    """A schema within itself is walked a few levels deep."""
    node: dict[str, Any] = {"type": "object", "properties": {"inner": {"$ref": "#"}}}
    (field,) = read_fields(node)
    assert len(field.path) <= 6


@given(
    st.fixed_dictionaries(
        {"grade": st.integers(1, 5)},
        optional={
            "about": st.fixed_dictionaries(
                {"topic": st.sampled_from(["billing", "other"])}, optional={"note": st.text()}
            ),
            "tone": st.sampled_from(["kind", "cold"]),
            "maybe": st.booleans() | st.none(),
        },
    )
)
def test_values_come_back_from_the_form(values: dict[str, Any]) -> None:
    """What is shown for an edit, handed in unchanged, is what was said."""
    assert build_values(flatten_values(read_fields(SCHEMA), values)) == values
