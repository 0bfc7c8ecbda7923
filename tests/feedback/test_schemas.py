"""Schemas of tasks: which are taken, and everything that is wrong with values, at once."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from briggs.feedback.schemas import InvalidValues, check_schema, check_values, list_fields
from briggs.types.errors import InvalidRequest

DRAFT_7 = "http://json-schema.org/draft-07/schema#"
# As Log10's own pages have them.
LOG10: dict[str, Any] = {
    "$schema": DRAFT_7,
    "type": "object",
    "properties": {
        "relevance": {"type": "integer", "minimum": 1, "maximum": 7},
        "note": {"type": "string", "multi": {"rows": 5}},
        "more": {"type": "string", "multi": True},
        "due": {"type": "string", "format": "date"},
        "contact": {"type": "string", "format": "email"},
        "tone": {"type": "string", "enum": ["warm", "cold"]},
        "score": {"type": "object", "properties": {"total": {"type": "number"}}},
    },
    "required": ["relevance"],
}


@pytest.mark.parametrize(
    "schema",
    [
        {},
        LOG10,
        {"type": ["object", "null"]},
        {"$schema": "https://json-schema.org/draft/2020-12/schema", "required": []},
        {"properties": {"a": {"$ref": "#/$defs/grade"}}, "$defs": {"grade": {"type": "integer"}}},
        {"$schema": DRAFT_7, "definitions": {"g": {}}, "allOf": [{"$ref": "#/definitions/g"}]},
        {"properties": {"a": {"properties": {"b": {"$ref": "#"}}}}},
        {"properties": {"$ref": {"type": "string"}}, "const": {"$ref": "not one"}},
    ],
)
def test_taken(schema: dict[str, Any]) -> None:
    """Both drafts, Log10's hints, and references within the schema."""
    check_schema(schema)


@pytest.mark.parametrize(
    ("schema", "param", "said"),
    [
        ([], "json_schema", "must be an object"),
        ({"type": "string"}, "json_schema.type", "the values are an object"),
        ({"type": "objekt"}, "json_schema.type", "'objekt' is not valid"),
        (
            {"properties": {"a": {"type": "integer", "minimum": "1"}}},
            "json_schema.properties.a.minimum",
            "'1' is not of type 'number'",
        ),
        ({"required": "a"}, "json_schema.required", "'a' is not of type 'array'"),
        ({"properties": {"a": {"pattern": "("}}}, "json_schema.properties.a.pattern", "regex"),
        ({"$schema": "http://json-schema.org/draft-04/schema#"}, "json_schema.$schema", "draft-07"),
        ({"$schema": 7}, "json_schema.$schema", "draft-07"),
        (
            {"properties": {"a": {"$ref": "#/$defs/gone"}}},
            "json_schema.properties.a.$ref",
            "nowhere in this schema",
        ),
        ({"$ref": "http://127.0.0.1:1/schema"}, "json_schema.$ref", "others are not fetched"),
        ({"$ref": "#"}, "json_schema", "nested too deeply"),
        (
            {"properties": {"a": {"multi": {"rows": 0}}}},
            "json_schema.properties.a.multi",
            "true, false, or {'rows': N}",
        ),
        ({"items": {"multi": "yes"}}, "json_schema.items.multi", "true, false"),
    ],
)
def test_refused(schema: Any, param: str, said: str) -> None:
    """What is wrong with a schema is named by its path."""
    with pytest.raises(InvalidRequest) as raised:
        check_schema(schema)
    assert raised.value.param == param
    assert said in raised.value.message


def test_every_problem_at_once() -> None:
    """All that is wrong with values is said in one answer, each with its path."""
    values = {
        "note": 1, "due": "tomorrow", "contact": "nobody", "tone": "odd", "score": {"total": "9"},
    }  # fmt: skip
    with pytest.raises(InvalidValues) as raised:
        check_values(values, schema=LOG10)
    assert [each["path"] for each in raised.value.problems] == [
        "json_values",
        "json_values.contact",
        "json_values.due",
        "json_values.note",
        "json_values.score.total",
        "json_values.tone",
    ]
    assert "'relevance' is a required property" in raised.value.message
    assert raised.value.to_object()["error"]["problems"] == raised.value.problems


def test_values_that_are_right() -> None:
    """What the schema allows passes, members that it does not know too."""
    values = {"relevance": 3, "due": "2026-11-23", "contact": "a@b.c", "note": "\n", "other": None}
    check_values(values, schema=LOG10)


def test_drafts_differ() -> None:
    """`$schema` decides by which draft values are checked."""
    tuple_of_7 = {"properties": {"a": {"items": [{"type": "integer"}]}}}
    with pytest.raises(InvalidValues):
        check_values({"a": ["x"]}, schema={"$schema": DRAFT_7, **tuple_of_7})
    prefix = {"properties": {"a": {"prefixItems": [{"type": "integer"}]}}}
    check_values({"a": ["x"]}, schema={"$schema": DRAFT_7, **prefix})
    with pytest.raises(InvalidValues):
        check_values({"a": ["x"]}, schema=prefix)


def test_fields() -> None:
    """Fields are listed by dotted path, objects by what is in them."""
    assert list(list_fields(LOG10)) == [
        "relevance", "note", "more", "due", "contact", "tone", "score.total",
    ]  # fmt: skip
    assert list_fields({"properties": {"a": True}}) == {}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["type", "properties", "$ref", "items", "multi", "$schema", "enum", "x"]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["type", "properties", "$ref", "items", "$id"]), JSON))
def test_any_schema(schema: dict[str, Any]) -> None:
    """Whatever is sent is a schema that can be used, or an error that names json_schema."""
    try:
        check_schema(schema)
    except InvalidRequest as error:
        assert str(error.param).startswith("json_schema")
        return
    try:
        check_values({"x": 1}, schema=schema)
    except InvalidValues as error:
        assert error.problems
