"""A task's schema as a form: which fields there are, and what keys and lines say to them."""

from __future__ import annotations

from typing import Any

import pytest

from briggs.cli.form import KEYS, list_keys, read_line
from briggs.cli.interview import Command
from briggs.types.fields import Field
from briggs.types.forms import read_form


def field_of(schema: Any) -> Field:
    """The field of one property."""
    (field,) = read_form({"properties": {"x": schema}}).fields
    return field


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
    assert "".join(list_keys(field_of(schema))) == keys


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
        ({"enum": list(range(100))}, "12", 12),
        ({"enum": [f"v{number}" for number in range(100)]}, "v12", "v12"),
        ({"type": "array", "items": {"enum": ["a", "b"]}}, "b, a", ["b", "a"]),
        ({"type": "array", "items": {"enum": [1, 2]}}, "2", [2]),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "12", "12"),
        ({}, "12", 12),
        ({}, "twelve", "twelve"),
    ],
)
def test_lines(schema: dict[str, Any], line: str, value: object) -> None:
    """A line becomes a value of the field's type."""
    assert read_line(field_of(schema), line) == value


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("integer", "a whole number"),
        ("object", "a JSON object"),
        ("array", "a list"),
        ("null", "null"),
    ],
)
def test_a_line_that_is_no_value(kind: str, said: str) -> None:
    """What is no value of the field's type says what would be one."""
    with pytest.raises(ValueError, match=said):
        read_line(field_of({"type": kind}), "[twelve")


def test_a_schema_without_properties_takes_an_object() -> None:
    """Then the whole object is said as JSON."""
    (field,) = read_form({"title": "Anything"}).fields
    assert read_line(field, '{"a": 1}') == {"a": 1}
    for line in ("a", "[1]"):
        with pytest.raises(ValueError, match="a JSON object"):
            read_line(field, line)
