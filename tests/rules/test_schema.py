"""Strict response formats are checked in bounded time."""

from __future__ import annotations

from typing import Any

import pytest

from briggs.rules.envelope import is_version_of
from briggs.rules.schema import STEPS_MAX, find_mismatch


def test_a_schema_that_doubles_at_every_level() -> None:
    """Alternatives within alternatives end; what is not reached counts as valid."""
    definitions: dict[str, Any] = {
        f"n{level}": {"anyOf": [{"$ref": f"#/$defs/n{level + 1}"}] * 2} for level in range(60)
    }
    definitions["n60"] = {"type": "string"}
    assert find_mismatch({"x": 1}, {"$defs": definitions, "$ref": "#/$defs/n0"}) is None
    assert find_mismatch(1, {"anyOf": [{"$ref": "#"}, {"$ref": "#"}]}) is None


@pytest.mark.parametrize(
    "schema",
    [
        {"items": {"enum": list(range(10_000))}},
        {"items": {"required": [f"n{number}" for number in range(10_000)]}},
        {"items": {"anyOf": [{"type": "null"}] * 10_000}},
    ],
)
def test_a_long_list(schema: dict[str, Any]) -> None:
    """Each item is looked for in a long list until the steps are used up."""
    fit: Any = [{f"n{number}": 0 for number in range(10_000)}] if "required" in str(schema) else [0]
    if "anyOf" in str(schema):
        fit = [None]
    assert find_mismatch(fit * 100_000, schema) is None
    assert find_mismatch(["x"], schema) is not None or "required" in str(schema)


def test_what_is_within_the_steps_is_found() -> None:
    """A large answer that breaks its schema is told."""
    items = [1] * (STEPS_MAX // 2) + ["x"]
    assert find_mismatch(items, {"items": {"type": "integer"}}) == (
        f"$[{STEPS_MAX // 2}] is not of type integer"
    )


@pytest.mark.parametrize(
    ("answered", "is_version"),
    [
        ("gpt-4o-2024-08-06", True),
        ("gpt-4o-v1.2:3", True),
        ("gpt-4o@20240101-preview", True),
        ("gpt-4o-latest", True),
        ("gpt-4o-mini", False),
        ("gpt-4o" + "-1" * 100 + "!", False),
        ("gpt-4o" + ".:-1" * 100 + "x", False),
        ("gpt-4o" + "-1" * 100_000, False),
    ],
)
def test_versions_of_a_model(answered: str, is_version: bool) -> None:
    """An upstream's name for a model is compared in linear time, whatever it is."""
    assert is_version_of(answered, "gpt-4o") is is_version
