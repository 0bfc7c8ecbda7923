"""A task's schema as a form: which fields there are, and what keys and lines say to them."""

from __future__ import annotations

from typing import Any

import pytest

from briggs.cli.grading.interview import Move
from briggs.types.fields import Field
from briggs.types.form_lines import (
    KEYS,
    find_fields,
    list_keys,
    list_numbers,
    read_line,
    replace_values,
)
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
        ({"enum": list(range(12))}, "0123456789ab"),
        ({"enum": ["3", "2", "none"]}, "32a"),
        ({"type": "integer", "minimum": 0, "maximum": 9, "multipleOf": 4}, "048"),
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
    assert not set(KEYS + "yn0") & {command.value for command in Move}


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


OPTIONS = {"type": "array", "items": {"enum": ["rude", "wrong", "too long", "a, b"]}}


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("1,3", ["rude", "too long"]),
        ("1 3", ["rude", "too long"]),
        ("3, wrong", ["too long", "wrong"]),
        ("Too Long", ["too long"]),
        ("a, b", ["a, b"]),
        ("4", ["a, b"]),
        ("2 2", ["wrong"]),
        ("0", []),
        ('["rude"]', ["rude"]),
    ],
)
def test_options_by_number(line: str, value: list[str]) -> None:
    """Several options are named by their numbers or values, each once."""
    assert read_line(field_of(OPTIONS), line) == value


@pytest.mark.parametrize(
    ("schema", "line", "said"),
    [
        (OPTIONS, "5", "no option '5'"),
        (OPTIONS, "1,nice", "no option 'nice'"),
        ({**OPTIONS, "minItems": 2}, "1", "at least 2 items"),
        ({**OPTIONS, "maxItems": 1}, "1 2", "at most 1 item$"),
        ({"type": "string", "maxLength": 1}, "ab", "at most 1 character$"),
        ({"type": "array", "minItems": 1}, "", "at least 1 item$"),
        ({"type": "number"}, "1e400", "a number"),
        ({"type": "number"}, "-1e999", "a number"),
        ({"type": "number"}, "NaN", "a number"),
        ({"type": "number"}, "Infinity", "a number"),
        ({"type": "array", "items": {"type": "number"}}, "1,1e400", "a number"),
        ({"type": "array", "items": {"type": "number"}}, "[1e400]", "a list"),
        ({"type": "object"}, '{"a": -Infinity}', "a JSON object"),
        ({"type": "integer", "minimum": 5}, "4", "a whole number of at least 5"),
        ({"type": "string", "minLength": 3}, "ab", "at least 3 characters"),
        ({"type": "array", "items": {"type": "integer"}}, "1,x", "a whole number"),
    ],
)
def test_a_line_is_checked_at_once(schema: dict[str, Any], line: str, said: str) -> None:
    """A value that does not fit is refused before anything is sent."""
    with pytest.raises(ValueError, match=said):
        read_line(field_of(schema), line)


def test_options_that_are_numbers_stand_for_themselves() -> None:
    """A number is never the place of another number."""
    field = field_of({"type": "array", "items": {"enum": [3, 2, 1]}})
    assert read_line(field, "1") == [1]
    assert list(list_numbers(field)) == ["3", "2", "1"]


def test_values_that_are_no_fields_stay() -> None:
    """An edit keeps what the schema does not name, at every depth."""
    form = read_form(
        {
            "properties": {
                "a": {"type": "integer"},
                "o": {"type": "object", "properties": {"b": {"type": "integer"}}},
            }
        }
    )
    before = {"a": 1, "more": [1], "o": {"b": 2, "c": 3}}
    assert replace_values(form, before, {("a",): 4}) == {"a": 4, "more": [1], "o": {"c": 3}}
    assert replace_values(form, before, {("o", "b"): 5}) == {"more": [1], "o": {"b": 5, "c": 3}}


def test_the_fields_of_problems() -> None:
    """A server's problem belongs to a field if its path is the field's or within it."""
    form = read_form({"properties": {"ab": {}, "a": {"type": "array"}, "n": {"type": "string"}}})
    assert find_fields(form, [{"path": "json_values.a[1]"}, {"path": "json_values.n"}]) == {
        ("a",),
        ("n",),
    }
    assert find_fields(form, [{"path": "json_values"}, {"path": "json_values.n"}]) == set()
