"""Schemas of tasks: which are taken, and everything that is wrong with values, at once."""

from __future__ import annotations

import resource
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from briggs.feedback.schemas import InvalidValues, check_schema, check_values
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
        {"type": "object"},
        LOG10,
        {"type": ["object", "null"]},
        {"$schema": "https://json-schema.org/draft/2020-12/schema", "required": []},
        {"properties": {"a": {"$ref": "#/$defs/grade"}}, "$defs": {"grade": {"type": "integer"}}},
        {"$schema": DRAFT_7, "definitions": {"g": {}}, "allOf": [{"$ref": "#/definitions/g"}]},
        {"properties": {"a": {"properties": {"b": {"$ref": "#"}}}}},
        {"properties": {"$ref": {"type": "string"}}, "const": {"$ref": "not one"}},
        {
            "properties": {"a": {"$ref": "#grade"}},
            "$defs": {"g": {"$anchor": "grade", "type": "null"}},
        },
        {"$dynamicAnchor": "node", "properties": {"inner": {"$dynamicRef": "#node"}}},
        {
            "$id": "https://a.b/c",
            "properties": {"a": {"$ref": "https://a.b/c#/properties/b"}, "b": {}},
        },
        {"properties": {"a": {"pattern": r"^\p{L}[\w-]{1,500}$"}}},
        {"properties": {"a": {"minLength": 10**9}, "b": {"multipleOf": 10**300}}},
        {"properties": {f"p{i}": {"type": "integer", "minimum": 1} for i in range(900)}},
        {"type": "object", "properties": {"a": False, "b": {}}, "x-note": {"type": "string"}},
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
        ({"type": "objekt"}, "json_schema.type", "Did you mean 'object'?"),
        (
            {"properties": {"a": {"type": "integer", "minimum": "1"}}},
            "json_schema.properties.a.minimum",
            '"1" is not of type "number"',
        ),
        ({"required": "a"}, "json_schema.required", 'a list of names, such as ["a"]'),
        ({"properties": {"a": {"pattern": "("}}}, "json_schema.properties.a.pattern", "regex"),
        ({"$schema": "http://json-schema.org/draft-04/schema#"}, "json_schema.$schema", "draft-07"),
        ({"$schema": 7}, "json_schema.$schema", "draft-07"),
        (
            {"properties": {"a": {"$ref": "#/$defs/gone"}}},
            "json_schema.properties.a.$ref",
            "is not in this schema",
        ),
        (
            {"$ref": "http://127.0.0.1:1/schema"},
            "json_schema.$ref",
            "other schemas are not fetched",
        ),
        ({"$ref": "#"}, "json_schema", "leads back to itself"),
        ({"$dynamicRef": "#meta"}, "json_schema.$dynamicRef", "is not in this schema"),
        ({"$dynamicAnchor": "m", "$dynamicRef": "#m"}, "json_schema", "leads back to itself"),
        ({"$ref": "file:///etc/passwd"}, "json_schema.$ref", "other schemas are not fetched"),
        (
            {"properties": {"a": {"$ref": "#/properties/b/default"}, "b": {"default": {}}}},
            "json_schema.properties.a.$ref",
            "does not lead to a schema",
        ),
        (
            {"properties": {"a": {"$id": "http://a.b/c"}}},
            "json_schema.properties.a.$id",
            "only the whole schema",
        ),
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
    assert '"relevance" is a required property' in raised.value.message
    assert raised.value.to_object()["error"]["problems"] == raised.value.problems


def test_values_that_are_right() -> None:
    """What the schema allows passes, members that it does not know too."""
    values = {"relevance": 3, "due": "2026-11-23", "contact": "a@b.c", "note": "\n", "other": None}
    check_values(values, schema=LOG10)


def test_half_of_a_surrogate_pair() -> None:
    """It is a character like others, in values, names and schemas."""
    schema = {"properties": {"a": {"enum": ["\ud83d", "b"]}, "\ud83d": {"maxLength": 1}}}
    check_schema(schema)
    check_values({"a": "\ud83d", "\ud83d": "\ud83d"}, schema=schema)
    for wrong in ({"a": "x\ud83d"}, {"\ud83d": "ab"}):
        with pytest.raises(InvalidValues):
            check_values(wrong, schema=schema)


def test_drafts_differ() -> None:
    """`$schema` decides by which draft values are checked."""
    tuple_of_7 = {"properties": {"a": {"items": [{"type": "integer"}]}}}
    with pytest.raises(InvalidValues):
        check_values({"a": ["x"]}, schema={"$schema": DRAFT_7, **tuple_of_7})
    prefix = {"properties": {"a": {"prefixItems": [{"type": "integer"}]}}}
    check_values({"a": ["x"]}, schema={"$schema": DRAFT_7, **prefix})
    with pytest.raises(InvalidValues):
        check_values({"a": ["x"]}, schema=prefix)


@pytest.mark.parametrize(
    ("schema", "param", "said"),
    [
        (
            {"note": "string"},
            "json_schema",
            'Write {"type": "object", "properties": {"note": {"type": "string"}}}',
        ),
        ({"note": {"type": "string"}}, "json_schema", '"properties": {"note": {"type": "string"}}'),
        ({"good": "bool", "n": "int"}, "json_schema", '"n": {"type": "integer"}'),
        ({"type": "object", "note": {"enum": ["a"]}}, "json_schema", '"note": {"enum": ["a"]}'),
        (
            {"properties": {"a": {"b": {"type": "string"}}}},
            "json_schema.properties.a",
            '"properties": {"b": {"type": "string"}}',
        ),
        ({"properties": {"a": "string"}}, "json_schema.properties.a", '{"type": "string"}'),
        ({"properties": {"a": {"type": "str"}}}, "json_schema.properties.a.type", "'string'?"),
        ({"properties": {"a": {"type": "Integer"}}}, "json_schema.properties.a.type", "'integer'?"),
        ({"properties": {"a": {"type": "numbr"}}}, "json_schema.properties.a.type", "'number'?"),
        (
            {"properties": {"a": {"type": "string", "required": True}}},
            "json_schema.properties.a.required",
            "Write 'required': [\"a\"] beside 'properties'",
        ),
        ({"properties": {"a": {}}, "required": True}, "json_schema.required", 'such as ["a"]'),
        (
            {"properties": {"a": {"type": "string", "maxlength": 3}}},
            "json_schema.properties.a.maxlength",
            "'maxLength'?",
        ),
        ({"propertys": {"a": {"type": "string"}}}, "json_schema.propertys", "'properties'?"),
        ({"name": "n", "schema": {"properties": {}}}, "json_schema", "what is in 'schema' alone"),
        ({}, "json_schema", "asks for nothing"),
        ({"type": "array", "items": {}}, "json_schema.type", "Give the value a name"),
    ],
)
def test_what_was_meant(schema: Any, param: str, said: str) -> None:
    """A schema that says something else than was meant is refused with what to write."""
    with pytest.raises(InvalidRequest) as raised:
        check_schema(schema)
    assert (raised.value.param, said in raised.value.message) == (param, True), raised.value.message


@pytest.mark.parametrize(
    ("schema", "param"),
    [
        ({"enum": ["a"]}, "json_schema"),
        ({"not": {}}, "json_schema"),
        ({"required": ["a"], "additionalProperties": False}, "json_schema"),
        ({"minProperties": 3, "maxProperties": 2}, "json_schema"),
        ({"allOf": [{"type": "string"}]}, "json_schema"),
        (
            {"minProperties": 2, "properties": {"a": {}}, "additionalProperties": False},
            "json_schema",
        ),
        ({"required": ["a"], "properties": {"a": False}}, "json_schema"),
        ({"anyOf": [False]}, "json_schema"),
        ({"properties": {"a": {"enum": []}}}, "json_schema.properties.a"),
        (
            {"properties": {"a": {"minLength": 3, "maxLength": 2, "type": "string"}}},
            "json_schema.properties.a",
        ),
        (
            {"properties": {"a": {"exclusiveMinimum": 1, "maximum": 1, "type": "number"}}},
            "json_schema.properties.a",
        ),
        (
            {"properties": {"a": {"allOf": [{"type": "string"}, {"type": "null"}]}}},
            "json_schema.properties.a",
        ),
        (
            {"properties": {"a": {"type": "array", "minItems": 2, "maxItems": 1}}},
            "json_schema.properties.a",
        ),
        (
            {"properties": {"a": {"type": "integer", "minimum": 8, "maximum": 9, "multipleOf": 5}}},
            "json_schema.properties.a",
        ),
        (
            {
                "properties": {
                    "a": {
                        "items": {"enum": ["a"]},
                        "type": "array",
                        "minItems": 2,
                        "uniqueItems": True,
                    }
                }
            },
            "json_schema.properties.a",
        ),
        (
            {"properties": {"a": {"type": "integer", "minimum": 5, "maximum": 1}}},
            "json_schema.properties.a",
        ),
        (
            {"properties": {"b": {"properties": {"a": {"const": 1, "type": "string"}}}}},
            "json_schema.properties.b.properties.a",
        ),
    ],
)
def test_what_nothing_can_satisfy(schema: Any, param: str) -> None:
    """A schema, or a field, that no value satisfies is refused as the task is made."""
    with pytest.raises(InvalidRequest, match="contradict each other") as raised:
        check_schema(schema)
    assert raised.value.param == param


def double(keyword: str, levels: int) -> dict[str, Any]:
    """A schema whose parts apply the next one twice."""
    definitions: dict[str, Any] = {
        f"n{level}": {keyword: [{"$ref": f"#/$defs/n{level + 1}"}] * 2} for level in range(levels)
    }
    definitions[f"n{levels}"] = {"type": "string"}
    return {"$defs": definitions, "properties": {"x": {"$ref": "#/$defs/n0"}}}


def nest(schema: Any, levels: int, keyword: str = "not") -> Any:
    for _ in range(levels):
        schema = {keyword: schema}
    return schema


LISTS: Any = 1
for _ in range(22):
    LISTS = [LISTS]

LIMITED: list[tuple[Any, str]] = [
    ({"properties": {f"p{i}": {"type": "integer"} for i in range(20_000)}}, "262,144"),
    ({"properties": {f"p{i}": {} for i in range(11_000)}}, "10,000"),
    ({"properties": {"a": {"enum": list(range(100_000))}}}, "262,144"),
    ({"properties": {"a": {"enum": list(range(11_000))}}}, "10,000"),
    ({"properties": {"a": nest({}, 5_000)}}, "64 levels"),
    ({"properties": {"a": nest({}, 200)}}, "64 levels"),
    (double("anyOf", 25), "10,000 steps"),
    (double("allOf", 25), "10,000 steps"),
    (double("oneOf", 60), "more than 64 schemas"),
    ({"properties": {f"p{i}": {} for i in range(1_100)}}, "1,000 fields"),
    ({"properties": {"a": {"pattern": "a" * 1_001}}}, "1,000 characters"),
]


@pytest.mark.parametrize(("schema", "limit"), LIMITED)
def test_limits_of_a_schema(schema: Any, limit: str) -> None:
    """A schema that takes long to check is refused at once, with the limit."""
    with pytest.raises(InvalidRequest) as raised:
        check_schema(schema)
    assert limit in raised.value.message


@pytest.mark.parametrize(
    "schema",
    [
        {"oneOf": [{"minimum": number, "maximum": number + 5} for number in range(1_500)]},
        {"allOf": [{"not": {"const": number}} for number in range(2_000)]},
        {"allOf": [{"anyOf": [{"const": f"{a}-{b}"} for b in range(50)]} for a in range(60)]},
        {"anyOf": [{"if": {"const": number}, "then": {"minimum": 1}} for number in range(500)]},
    ],
)
def test_schemas_of_many_parts(schema: Any) -> None:
    """What is within the limits is checked in time."""
    try:
        check_schema({"properties": {"a": schema}})
    except InvalidRequest as error:
        assert "contradict each other" in error.message


@pytest.mark.parametrize(
    "pattern",
    ["^(?=a)b$", "(?!x)", "(?<=a)b", r"(a)\1", "(", r"(\p{L}{1,100}){1,9}!$"],
)
@pytest.mark.parametrize("keyword", ["pattern", "patternProperties"])
def test_patterns_that_need_more_than_linear_time(pattern: str, keyword: str) -> None:
    """They are refused by their place, with what patterns may be."""
    said = pattern if keyword == "pattern" else {pattern: {}}
    with pytest.raises(InvalidRequest, match="without lookahead") as raised:
        check_schema({"properties": {"a": {keyword: said}}})
    assert str(raised.value.param).startswith(f"json_schema.properties.a.{keyword}")


@pytest.mark.parametrize(
    ("schema", "values"),
    [
        ({"pattern": "^(a+)+$"}, "a" * 40 + "!"),
        ({"pattern": "^(a|aa)+$"}, "a" * 100_000 + "!"),
        ({"pattern": "(x+x+)+y"}, "x" * 100_000),
        ({"patternProperties": {"^(a+)+$": False}, "minProperties": 2}, {"a" * 40 + "!": 1}),
        ({"format": "idn-email"}, "@" * 100_000),
        ({"format": "uri"}, "http://" + "[" * 100_000),
        ({"type": "string", "format": "regex"}, "(" * 100_000),
        ({"uniqueItems": True, "maxItems": 1}, list(range(50_000))),
        ({"multipleOf": 7}, 10**4000),
    ],
)
def test_values_that_take_long(schema: Any, values: Any) -> None:
    """What hung, or took seconds, is told what is wrong at once."""
    with pytest.raises(InvalidValues):
        check_values({"a": values}, schema={"properties": {"a": schema}})


@pytest.mark.parametrize(
    ("schema", "values", "limit"),
    [
        ({"pattern": "^(a+)+$"}, "a" * 2_000_000, "16,000,000"),
        ({"items": {"enum": list(range(2_000))}}, ["x"] * 10_000, "16,000,000"),
        ({"type": "string"}, "a" * 5_000_000, "4 MiB"),
        ({"$ref": "#"}, nest({}, 100, "a"), "64 levels"),
        ({"anyOf": [{"items": {"$ref": "#/properties/a"}}] * 2}, LISTS, "16,000,000"),
    ],
)
def test_limits_of_values(schema: Any, values: Any, limit: str) -> None:
    """Values that take long to check are refused at once, with the limit."""
    with pytest.raises(InvalidValues) as raised:
        check_values({"a": values}, schema={"properties": {"a": schema}})
    assert limit in raised.value.message


@pytest.mark.parametrize(
    ("schema", "values"),
    [
        ({"propertyNames": {"pattern": "z"}}, {f"x{number}": 1 for number in range(20_000)}),
        ({"items": {"enum": ["x" * 100_000, "y" * 100_000]}}, [1] * 20_000),
        ({"items": {"const": "x" * 200_000}}, [1] * 20_000),
        ({"additionalProperties": {"items": {"type": "string"}}}, {"x" * 1_000_000: [1] * 20_000}),
    ],
    ids=["names", "enum", "const", "paths"],
)
def test_problems_that_would_fill_the_memory(schema: Any, values: Any) -> None:
    """Many problems that each repeat something large are not listed, and take no memory."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InvalidValues, match="too large to list"):
        check_values({"a": values}, schema={"properties": {"a": schema}})
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 * 1024


def test_large_form_names_every_problem() -> None:
    """An answer to many fields, some with long texts, still learns what is wrong with each."""
    options = {"enum": ["good", "bad", "so so", "unknown"]}
    properties = {f"field_{number}": options for number in range(100)}
    values = {**dict.fromkeys(properties, "good"), "field_7": "x" * 10_000, "field_9": 5}
    with pytest.raises(InvalidValues) as raised:
        check_values(values, schema={"properties": properties})
    assert [each["path"] for each in raised.value.problems] == [
        "json_values.field_7",
        "json_values.field_9",
    ]


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"$dynamicRef": "#m"},
        {"$ref": "http://127.0.0.1:1/x"},
        {"properties": {"a": {"pattern": "(?=a)"}}},
        double("anyOf", 40),
    ],
)
def test_a_task_that_was_made_when_more_was_allowed(schema: Any) -> None:
    """Its answers are refused with the reason."""
    with pytest.raises(InvalidValues, match="task"):
        check_values({"x": 1}, schema=schema)


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


@given(
    st.dictionaries(
        st.sampled_from(["type", "properties", "$ref", "items", "$id", "anyOf", "pattern"]), JSON
    )
)
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
