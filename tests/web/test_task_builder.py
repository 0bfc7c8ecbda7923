"""Schemas that are built from fields, and fields that are read from schemas."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from briggs.feedback.schemas import check_schema
from briggs.types.errors import InvalidRequest
from briggs.web.task_builder import KINDS, Draft, build_schema, read_schema, rebuild_schema

words = st.text("abc 'é你😀\"<", min_size=1, max_size=8).map(str.strip).filter(bool)


@st.composite
def drafts(draw: st.DrawFn) -> list[Draft]:
    """Fields as a person builds them."""
    names = draw(st.lists(words, min_size=1, max_size=5, unique=True))
    found = []
    for name in names:
        kind = draw(st.sampled_from(KINDS))
        options = ""
        if kind in ("choice", "choices"):
            options = "\n".join(draw(st.lists(words, min_size=2, max_size=4, unique=True)))
        elif kind == "scale" and draw(st.booleans()):
            options = f"1 = {draw(words)}"
        required = draw(st.booleans())
        help = draw(st.one_of(st.just(""), words))
        found.append(Draft(kind=kind, name=name, help=help, options=options, is_required=required))
    return found


@given(drafts())
def test_what_was_built_can_be_edited(built: list[Draft]) -> None:
    """A built schema is valid, and comes back as the same fields."""
    schema = build_schema(built)
    check_schema(schema)
    assert read_schema(schema) == built


def test_a_schema_that_was_written_can_be_edited() -> None:
    """A schema that names the type of its options is read as fields, and kept if they stay."""
    options = {"type": "string", "enum": ["kind", "cold"]}
    problems = {"type": "array", "items": options, "uniqueItems": True}
    fields = {"tone": options, "problems": problems, "clause": {"type": "string"}}
    schema = {"properties": fields, "required": ["tone"]}
    drafts = read_schema(schema)
    assert drafts is not None
    assert [each.kind for each in drafts] == ["choice", "choices", "line"]
    assert rebuild_schema(drafts, schema) == schema
    assert rebuild_schema(drafts[:1], schema)["properties"] == {"tone": {"enum": ["kind", "cold"]}}


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": "object", "properties": {"a": {"type": "object"}}},
        {"type": "object", "properties": {"a": {"type": "string", "pattern": "x"}}},
        {"type": "object", "properties": {"a": True}},
        {"type": "object", "properties": {"a": {"enum": [1, 2]}}},
        {"type": "object", "properties": {"a": {"type": "string", "enum": [1, 2]}}},
        {"type": "object", "properties": {"a": {"type": "integer", "enum": [1, 2]}}},
        {"type": "object", "properties": {"a": {"enum": "no list"}}},
        {"type": "object", "properties": {"a": {"oneOf": [1, {"const": None}]}}},
        {"type": "object", "properties": {"a": {"type": "boolean"}}, "additionalProperties": False},
        {"type": "object", "properties": {"a": {"type": "boolean"}}, "required": "a"},
    ],
)
def test_a_schema_that_says_more(schema: dict[str, Any]) -> None:
    """A schema that fields cannot say is not read as fields, so that nothing of it is lost."""
    assert read_schema(schema) is None


@pytest.mark.parametrize(
    ("built", "said"),
    [
        ([], "at least one field"),
        ([Draft(name="")], "Field 1 needs a name"),
        ([Draft(name="a"), Draft(name="a")], "Rename one"),
        ([Draft(name="a", kind="choice", options="one")], "two different options"),
        ([Draft(name="a", kind="choices", options="one\none")], "two different options"),
        ([Draft(name="a", low="5", high="1")], "must end above"),
        ([Draft(name="a", high="1e9")], "from one whole number to another"),
        ([Draft(name="a", high="999")], "from one whole number to another"),
        ([Draft(name="a", options="nonsense")], "1 = not at all"),
        ([Draft(name="a", options="9 = out of it")], "1 = not at all"),
    ],
)
def test_what_cannot_be_built(built: list[Draft], said: str) -> None:
    """The error names the field and says what to do."""
    with pytest.raises(InvalidRequest, match=said):
        build_schema(built)
